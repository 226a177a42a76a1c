"""A journal without Kafka: a log in memory that several coordinators share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from streams.coordinate.batch import Batch, Received
from streams.coordinate.journal import Entry, Held, JournalLost
from streams.coordinate.lookup import Found
from streams.coordinate.machine import Machine
from streams.coordinate.state import Record
from tests.streams.coordinate.coordinator import LIMITS, RANGES


class Log:
    """What the topics hold, by topic and in order."""

    def __init__(self) -> None:
        self.topics: dict[str, list[Entry]] = {}
        self.epoch = 0
        self.transactions: list[list[Entry]] = []

    def folded(self, topic: str) -> dict[str, bytes]:
        """The last value of every key that was not deleted."""
        values = {str(entry.key): entry.value for entry in self.topics.get(topic, ())}
        return {key: value for key, value in values.items() if value is not None}


class MemoryJournal:
    """One coordinator's access to the log. ``lose`` makes the next transaction fail."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._epoch = 0
        self.lose = False

    def open(self) -> None:
        self._log.epoch += 1
        self._epoch = self._log.epoch

    def read(self) -> Iterator[Held]:
        for topic in ("detectors", "state"):
            for offset, entry in enumerate(self._log.topics.get(topic, ())):
                yield Held(topic, str(entry.key).encode(), entry.value, offset)

    def commit(self, entries: Sequence[Entry], replies: Callable[[Sequence[int]], Sequence[Entry]]) -> list[int]:
        if self._epoch != self._log.epoch or self.lose:
            self.lose = False
            raise JournalLost("fenced")
        offsets = []
        for entry in entries:
            offsets.append(len(self._log.topics.setdefault(entry.topic, [])))
            self._log.topics[entry.topic].append(entry)
        answers = list(replies(offsets))
        self._log.topics.setdefault("replies", []).extend(answers)
        self._log.transactions.append([*entries, *answers])
        return offsets

    def close(self) -> None:
        """Nothing waits."""


class Term:
    """A coordinator from its beginning on: the machine as the journal had it."""

    def __init__(self, log: Log) -> None:
        self.journal = MemoryJournal(log)
        self.begin()

    def begin(self) -> None:
        """Become the coordinator (anew)."""
        self.journal.open()
        self.machine = Machine(LIMITS, "node-1")
        for held in self.journal.read():
            self.machine.state.restore(Record(held.topic, (held.key or b"").decode(), held.value), held.offset)
        self.machine.state.restored()

    def batch(self, records: Sequence[tuple[int, bytes]]) -> Batch:
        """Decide about control records, and write nothing yet; the time of an event is made from its offset."""
        batch, now = Batch(self.machine, prefix="riverwatch."), 0
        for offset, value in records:
            now = 1_000_000 + 10_000 * offset
            received = Received.of(offset, b"key", value)
            question = batch.question(received, now)
            batch.take(received, now, None if question is None else Found(RANGES, {}))
        batch.close(now)
        return batch

    def commit(self, batch: Batch) -> None:
        """Write it. Raises ``JournalLost``."""
        if batch.entries:
            batch.written(self.journal.commit(batch.entries, batch.replies))
