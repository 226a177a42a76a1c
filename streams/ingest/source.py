"""One data partition on this worker: where reading stands, and the windows of every run that reads it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from schemas.checkpoint import SourceCheckpoint
from schemas.partial import NO_WINDOW, Partial
from streams.ingest.checkpoint import grouped
from streams.ingest.clock import SourceClock
from streams.ingest.windows import Batch, Closed, RunWindows
from streams.plan import Plan


@dataclass(eq=False)
class RunSource:
    """One run's share of a source. It is ``joined`` when it reads what the source reads, no longer catching up.

    ``past``: records before that offset belong to the run from that event time on only (its cold start).
    """

    windows: RunWindows
    clock: SourceClock
    joined: bool
    past: tuple[int, int] | None = None
    said_until: int = NO_WINDOW
    said_idle: bool = False

    @property
    def plan(self) -> Plan:
        """The run's plan."""
        return self.windows.plan

    def fold(self, batch: Batch, next_offset: int) -> Batch:
        """Take in what of a batch belongs to the run; returns it."""
        if self.past is not None and len(batch.offsets) and batch.offsets[0] < self.past[0]:
            live, since = self.past
            batch = batch.where((batch.offsets >= live) | (batch.times >= since))
        self.windows.fold(batch, next_offset)
        return batch

    def partials(
        self, topic: str, partition: int, closed: Sequence[Closed], *, idle: bool, max_bytes: int
    ) -> Iterator[tuple[int, Partial]]:
        """What is to be said: model partitions and records for them, in order; nothing when nothing is new."""
        if not closed and self.windows.closed_until == self.said_until and idle == self.said_idle:
            return
        self.said_until, self.said_idle = self.windows.closed_until, idle
        yield from self.windows.partials(
            topic, partition, closed, until=self.windows.closed_until, idle=idle, max_bytes=max_bytes
        )


@dataclass(eq=False)
class Source:
    """One data partition. ``offset`` is the next one to read; ``lock`` guards it and the windows.

    Whoever folds records holds the lock until the windows that closed have been handed to the outbox: a snapshot
    taken between the two would miss them for good.
    """

    topic: str
    partition: int
    offset: int
    runs: dict[str, RunSource] = field(default_factory=dict)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    slot: int = 0
    checkpointed: int = -1

    def has(self, run: RunSource) -> bool:
        """Whether this run still reads this source: False once it has ended, or the source is no longer ours."""
        return self.runs.get(run.plan.owner) is run

    def snapshot(self, max_bytes: int) -> list[tuple[str, SourceCheckpoint]]:
        """The checkpoint's records with their keys, none of them much larger than ``max_bytes``."""
        groups = grouped(((run.windows.snapshot(), run.plan.columns) for run in self.runs.values()), max_bytes)
        self.slot = 1 - self.slot
        return [
            (
                SourceCheckpoint.key(self.topic, self.partition, self.slot, part),
                SourceCheckpoint(
                    topic=self.topic,
                    partition=self.partition,
                    offset=self.offset,
                    part=part,
                    parts=len(groups),
                    runs=runs,
                ),
            )
            for part, runs in enumerate(groups)
        ]
