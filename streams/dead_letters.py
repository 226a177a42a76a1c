"""Dead-lettering: the one way in which a worker sends on what it can't use, and what it counts of that."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any, Protocol

import structlog

from schemas.deadletter import DeadLetter, Reason
from streams.kafka.tp import TP
from streams.settings import Settings

log = structlog.get_logger()

PAUSE = 60.0
"""Seconds between two lines of the log about records that can't be used."""


class Sender(Protocol):
    """What dead letters are sent through: the outbox."""

    async def send(self, topic: str, value: bytes | None, **rest: Any) -> None:
        """Hand one record over, waiting for room."""
        ...


class DeadLetters:
    """Sends dead letters, and counts those of this process: ``by_reason`` by (topic, reason)."""

    def __init__(self, settings: Settings, outbox: Sender) -> None:
        self._topic = settings.topic("deadletter")
        self._outbox = outbox
        self.by_reason: Counter[tuple[str, Reason]] = Counter()
        self._told = -PAUSE
        self._untold = 0

    def _tell(self, letter: DeadLetter) -> None:
        """One line a minute, with an example: a producer may send nothing but such records."""
        self._untold += 1
        now = time.monotonic()
        if now - self._told >= PAUSE:
            log.warning(
                "records can't be used",
                count=self._untold,
                topic=letter.topic,
                partition=letter.partition,
                offset=letter.offset,
                reason=letter.reason,
                detail=letter.detail,
                detectors=",".join(letter.detectors),
            )
            self._told, self._untold = now, 0

    def count(self, letter: DeadLetter) -> None:
        """Count one that was sent in another way: the coordinator's are part of its transactions."""
        self.by_reason[letter.topic, letter.reason] += 1

    async def send(self, letter: DeadLetter) -> None:
        """Dead-letter a record."""
        self.count(letter)
        self._tell(letter)
        await self._outbox.send(self._topic, letter.value, key=letter.key, headers=letter.headers())

    async def reject(self, tp: TP, record: Any, reason: Reason, detail: str) -> None:
        """Dead-letter a record (anything with ``offset``, ``key`` and ``value``) of a partition."""
        await self.send(DeadLetter(tp.topic, tp.partition, record.offset, reason, detail, record.key, record.value))

    @property
    def counts(self) -> dict[str, dict[str, int]]:
        """How many there were, by topic and reason."""
        counts: dict[str, dict[str, int]] = {}
        for (topic, reason), count in self.by_reason.items():
            counts.setdefault(topic, {})[reason] = count
        return counts
