"""One data partition on this worker: where reading stands, and the windows of every run that reads it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from schemas.checkpoint import OpenWindow, RunCheckpoint, SourceCheckpoint
from schemas.partial import NO_WINDOW, Partial
from streams.columns import Column
from streams.ingest.clock import SourceClock
from streams.ingest.windows import Batch, Closed, RunWindows
from streams.pieces import cut, joined, size
from streams.plan import Plan


@dataclass
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


@dataclass
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

    def snapshot(self, max_bytes: int) -> list[tuple[str, SourceCheckpoint]]:
        """The checkpoint's records with their keys, none of them much larger than ``max_bytes``."""
        pieces = [
            piece
            for run in self.runs.values()
            for piece in _pieces(run.windows.snapshot(), run.plan.columns, max_bytes)
        ]
        groups = list(_groups(pieces, max_bytes)) or [[]]
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


def assemble(parts: Iterable[SourceCheckpoint]) -> list[RunCheckpoint] | None:
    """The runs of a checkpoint from its parts in any order; None while parts are missing or of different age."""
    ordered = sorted(parts, key=lambda part: part.part)
    if not ordered or [part.part for part in ordered] != list(range(ordered[0].parts)):
        return None
    if len({(part.offset, part.parts) for part in ordered}) != 1:
        return None
    runs: dict[tuple[str, int], RunCheckpoint] = {}
    for part in ordered:
        for run in part.runs:
            known = runs.get((run.owner, run.run))
            runs[run.owner, run.run] = run if known is None else _with_windows(known, [*known.windows, *run.windows])
    return [_with_windows(run, list(_joined(run.windows))) for run in runs.values()]


def _joined(windows: Iterable[OpenWindow]) -> Iterator[OpenWindow]:
    for end, same in groupby(windows, key=lambda window: window.end):
        yield OpenWindow(end, *joined([(piece.entities, piece.columns) for piece in same]))


def _pieces(run: RunCheckpoint, columns: Sequence[Column], max_bytes: int) -> Iterator[RunCheckpoint]:
    windows: list[OpenWindow] = []
    size = 0
    for window in (piece for whole in run.windows for piece in _cut(whole, columns, max_bytes)):
        if windows and size + _size(window) > max_bytes:
            yield _with_windows(run, windows)
            windows, size = [], 0
        windows.append(window)
        size += _size(window)
    yield _with_windows(run, windows)


def _cut(window: OpenWindow, columns: Sequence[Column], max_bytes: int) -> Iterator[OpenWindow]:
    for rows in cut(window.entities, window.columns, columns, max_bytes):
        yield OpenWindow(window.end, *rows)


def _groups(pieces: list[RunCheckpoint], max_bytes: int) -> Iterator[list[RunCheckpoint]]:
    group: list[RunCheckpoint] = []
    size = 0
    for piece in pieces:
        weight = 100 + sum(_size(window) for window in piece.windows)
        if group and size + weight > max_bytes:
            yield group
            group, size = [], 0
        group.append(piece)
        size += weight
    if group:
        yield group


def _size(window: OpenWindow) -> int:
    return size(window.entities, window.columns)


def _with_windows(run: RunCheckpoint, windows: list[OpenWindow]) -> RunCheckpoint:
    return RunCheckpoint(
        owner=run.owner,
        run=run.run,
        offset=run.offset,
        clock=run.clock,
        closed_until=run.closed_until,
        late=run.late,
        records=run.records,
        windows=windows,
    )
