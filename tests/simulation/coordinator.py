"""What the coordinator asks of Kafka, in memory: transactions that fence each other, and the extents of topics."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence

from streams.coordinate.journal import Entry, Held, JournalLost
from streams.coordinate.lookup import Found, Question
from tests.simulation.log import Away
from tests.simulation.world import World

ODDS = 0.03
"""Of a transaction that does not come about, and of one that does although its coordinator hears nothing of it."""


class MemoryJournal:
    """See ``Journal``: a transaction is written as a whole or not at all, and leaves a marker behind."""

    def __init__(self, world: World, prefix: str) -> None:
        self._world = world
        self._prefix = prefix
        self._epoch = 0

    def open(self) -> None:
        """See ``Journal``."""
        self._there()
        self._world.log.epoch += 1
        self._epoch = self._world.log.epoch

    def read(self) -> Iterator[Held]:
        """See ``Journal``."""
        for topic in ("detectors", "state"):
            self._there()
            for record in list(self._world.log.topics[self._prefix + topic][0].records):
                yield Held(topic, record.key, record.value, record.offset)

    def commit(self, entries: Sequence[Entry], replies: Callable[[Sequence[int]], Sequence[Entry]]) -> list[int]:
        """See ``Journal``."""
        self._there()
        if self.fenced():
            raise JournalLost("fenced")
        luck = self._world.dice.random()
        if luck < ODDS:
            raise JournalLost("aborted")
        offsets = self._write(entries)
        self._write(replies(offsets))
        if luck > 1 - ODDS:
            raise JournalLost("it is not known whether it was committed")
        return offsets

    def fenced(self) -> bool:
        """Whether somebody else has opened the journal since."""
        return self._epoch != self._world.log.epoch

    def _write(self, entries: Sequence[Entry]) -> list[int]:
        log, now = self._world.log, self._world.now_ms
        offsets, places = [], set()
        for entry in entries:
            topic = self._prefix + entry.topic
            key = entry.key.encode() if isinstance(entry.key, str) else entry.key
            partition = log.partition_for(topic, key) if entry.partition < 0 else entry.partition
            offsets.append(log.append(topic, partition, now, key, entry.value, entry.headers))
            places.add((topic, partition))
        for place in sorted(places):
            log.marker(*place)
        return offsets

    def close(self) -> None:
        """See ``Journal``."""

    def _there(self) -> None:
        if self._world.log.away:
            raise Away


class MemoryTopics:
    """See ``Topics``."""

    def __init__(self, world: World, prefix: str) -> None:
        self._world = world
        self._prefix = prefix

    def partitions(self) -> dict[str, list[int]]:
        """See ``Topics``."""
        topics = self._world.log.topics.items()
        return {name: list(range(len(parts))) for name, parts in topics if not name.startswith(self._prefix)}

    def ids(self, topics: Collection[str]) -> dict[str, str]:
        """See ``Topics``."""
        return dict.fromkeys(topics, "")

    def answer(self, question: Question) -> Found:
        """See ``Topics``."""
        log = self._world.log
        if log.away:
            raise Away
        ranges: dict[str, dict[int, tuple[int, int]]] = {}
        for topic in self.partitions():
            if question.reads(topic):
                ranges[topic] = {}
                for number, partition in enumerate(log.topics[topic]):
                    since = [
                        record.offset for record in partition.records if record.timestamp >= (question.since_ms or 0)
                    ]
                    ranges[topic][number] = (min(since, default=partition.end), partition.end)
        return Found(ranges, self.ids(ranges))

    def end_of_control(self) -> int:
        """See ``Topics``."""
        if self._world.log.away:
            raise Away
        return self._world.log.topics[self._prefix + "control"][0].end
