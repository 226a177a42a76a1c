"""What consecutive control events lead to: the records of one transaction. Without Kafka, asyncio or a clock.

    batch = Batch(machine, prefix="riverwatch.")
    for event in events:                                          # Received.of(offset, key, value)
        question = batch.question(event, now_ms)                  # None for most
        batch.take(event, now_ms, answer=None if question is None else look_up(question))
    batch.close(now_ms)
    if batch.entries:
        batch.written(journal.commit(batch.entries, batch.replies))

The events' effects are in the machine as soon as they have been taken: a machine whose batch could not be committed is
ahead of the topics, and must be given up.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from math import gcd
from typing import NamedTuple

import msgspec

from schemas.command import Command, Event, Reply, decode_event, encode_reply
from schemas.deadletter import DeadLetter, Reason
from schemas.errors import UNREADABLE
from schemas.state import POSITION_KEY, Position, encode
from streams.coordinate.journal import Entry
from streams.coordinate.lookup import Found, Question, context_of, question_of
from streams.coordinate.machine import Machine
from streams.coordinate.state import Record

REQUEST_ID_LENGTH = 1_000
"""Longer ones get no reply: it would be larger than a record may be, and nothing after it would be carried out."""

_SHOWN = 10_000
"""Most characters of a reason, or of a detector id, in a reply: they may quote what the command holds."""

TIDIED = 2_000
"""Entity tasks whose parents are gone that one batch deletes at most, besides what its events lead to."""


class Received(NamedTuple):
    """One record of the control topic. ``problem`` says why there is no event in it."""

    offset: int
    key: bytes | None
    value: bytes | None
    event: Event | None
    problem: str = ""

    @classmethod
    def of(cls, offset: int, key: bytes | None, value: bytes | None) -> Received:
        """Decode a record.

        >>> Received.of(7, None, b"{").problem
        'Input data was truncated'
        """
        try:
            return cls(offset, key, value, decode_event(value or b""))
        except UNREADABLE as error:
            return cls(offset, key, value, None, str(error))


class _Answered(NamedTuple):
    reply: Reply
    seq_no_of: int | None
    changed: bool


class Batch:
    """Collects what events lead to. ``end`` is the offset after the last event taken, None before the first.

    Of a task that several of the events report progress on, the last state alone is written.
    """

    def __init__(self, machine: Machine, *, prefix: str) -> None:
        self._machine = machine
        self._prefix = prefix
        self._entries: list[Entry | None] = []
        self._progress: dict[str, int] = {}
        self._answers: list[_Answered] = []
        self.dead_letters: list[DeadLetter] = []
        self.end: int | None = None

    @property
    def entries(self) -> list[Entry]:
        """The records to write, in this order and all of them or none. Replies follow: see ``replies``."""
        return [entry for entry in self._entries if entry is not None]

    def question(self, received: Received, now_ms: int) -> Question | None:
        """What must be looked up before this event, the next one, is taken."""
        if received.event is None or received.offset <= self._machine.state.offset:
            return None
        return question_of(received.event, self._machine.state, self._machine.limits, now_ms)

    def take(self, received: Received, now_ms: int, answer: Found | None = None) -> None:
        """Decide about the next event. One that was decided before changes nothing."""
        self.end = received.offset + 1
        if received.value is None or received.offset <= self._machine.state.offset:
            return
        event = received.event
        if event is None:
            self._machine.state.offset = received.offset
            self._reject(received, "bad-command", received.problem)
            self._refuse(received)
            return
        context = context_of(event, self._machine.state, now_ms, received.offset, answer)
        effects = self._machine.apply(event, context)
        places = self._add(effects.records, received.offset, replaceable=not isinstance(event, Command))
        if effects.dead_letter is not None:
            self._reject(received, *effects.dead_letter)
        if effects.reply is not None:
            of = None if effects.seq_no_of is None else places[effects.seq_no_of]
            self._answer(effects.reply, of, changed=bool(effects.records))

    def refuse(self, received: Received, reason: str) -> None:
        """Dead-letter the next event, whose outcome can't be written."""
        self.end = received.offset + 1
        self._machine.state.offset = received.offset
        self._reject(received, "refused-command", reason)
        if received.event is not None and received.event.request_id is not None:
            error = {"type": "status_exception", "reason": reason}
            event = received.event
            reply = Reply(request_id=event.request_id or "", detector_id=event.detector_id, status=400, error=error)
            self._answer(reply)

    def close(self, now_ms: int) -> None:
        """Add what does not wait for an event: reports that are due, entity tasks to delete, and the position."""
        self._add(self._machine.flush(now_ms), 0, replaceable=True)
        self._add(self._machine.tidy(TIDIED), 0, replaceable=False)
        self._entries += [
            Entry("deadletter", letter.key, letter.value, headers=letter.headers()) for letter in self.dead_letters
        ]
        if self._entries or self._answers:
            position = Position(control_offset=self._machine.state.offset)
            self._entries.append(Entry("state", POSITION_KEY, encode(position)))

    def add(self, record: Record) -> None:
        """Add a record that no event leads to."""
        self._add((record,), 0, replaceable=False)

    def _add(self, records: Sequence[Record], offset: int, *, replaceable: bool) -> dict[tuple[str, str], int]:
        places: dict[tuple[str, str], int] = {}
        scans = 0
        for record in records:
            before = self._progress.pop(record.key, None) if record.topic == "state" else None
            if before is not None:
                self._entries[before] = None
            partition = -1
            if record.topic == "scans":
                # By the keys' hashes the few scans of a task may all come to one worker.
                partition = spread(offset + scans, self._machine.limits.model_partitions)
                scans += 1
            places[record.topic, record.key] = len(self._entries)
            if replaceable and record.topic == "state" and record.key in self._machine.state.tasks:
                self._progress[record.key] = len(self._entries)
            self._entries.append(Entry(*record, partition=partition))
        return places

    def replies(self, offsets: Sequence[int]) -> list[Entry]:
        """The replies, given the offsets of the ``entries``. They belong into the same transaction."""
        of_entry = dict(zip((at for at, entry in enumerate(self._entries) if entry is not None), offsets, strict=True))
        ends: dict[str, int] = {}
        for entry, offset in zip(self.entries, offsets, strict=True):
            if entry.topic in ("detectors", "state"):
                ends[entry.topic] = offset
        return [
            Entry(
                "replies",
                answered.reply.request_id,
                encode_reply(
                    msgspec.structs.replace(
                        answered.reply,
                        seq_no=0 if answered.seq_no_of is None else of_entry[answered.seq_no_of],
                        offsets=ends if answered.changed else {},
                    )
                ),
            )
            for answered in self._answers
        ]

    def written(self, offsets: Sequence[int]) -> None:
        """Take in that the transaction was committed, with the offsets of the ``entries``."""
        for entry, offset in zip(self.entries, offsets, strict=True):
            self._machine.state.seen(entry.topic, str(entry.key), offset)

    def _reject(self, received: Received, reason: Reason, detail: str) -> None:
        topic = self._prefix + "control"
        self.dead_letters.append(DeadLetter(topic, 0, received.offset, reason, detail, received.key, received.value))

    def _refuse(self, received: Received) -> None:
        try:
            given = msgspec.json.decode(received.value or b"")
        except UNREADABLE:
            return
        if isinstance(given, dict) and isinstance(given.get("request_id"), str):
            error = {"type": "parsing_exception", "reason": received.problem}
            detector_id = str(given.get("detector_id", ""))
            self._answer(Reply(request_id=given["request_id"], detector_id=detector_id, status=400, error=error))

    def _answer(self, reply: Reply, seq_no_of: int | None = None, *, changed: bool = False) -> None:
        if len(reply.request_id) > REQUEST_ID_LENGTH:
            return
        error = None if reply.error is None else {name: text[:_SHOWN] for name, text in reply.error.items()}
        reply = msgspec.structs.replace(reply, detector_id=reply.detector_id[:_SHOWN], error=error)
        self._answers.append(_Answered(reply, seq_no_of, changed))


def spread(number: int, partitions: int) -> int:
    """The partition of the scan of this number: neighbours far apart, so that every worker gets about as many.

    >>> [spread(number, 8) for number in range(9)]
    [0, 5, 2, 7, 4, 1, 6, 3, 0]
    """
    step = next(step for step in count(max(1, round(partitions * 0.618))) if gcd(step, partitions) == 1)
    return number * step % partitions
