"""Merging what the source partitions say about the windows of one run, on one model partition.

A window is final when every source that is not idle has closed it. The *first* word of a source on a window
counts: what a restarted ingest says again about windows that the source had already closed is a repeat and changes
nothing, so that a replay of the partials topic always leads to the same windows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from schemas.partial import NO_WINDOW, Partial, WindowPart
from streams.columns import Column
from streams.pieces import joined

Source = tuple[str, int]
"""Topic and partition."""


@dataclass
class _SourceState:
    closed_until: int = NO_WINDOW
    idle: bool = False
    finished: bool = False


@dataclass
class _Pending:
    first_offset: int
    parts: dict[Source, list[WindowPart]] = field(default_factory=dict)


@dataclass(frozen=True)
class FinalWindow:
    """A window that nothing can change any more. ``columns`` are accumulators of one row an entity."""

    end: int
    first_offset: int
    entities: Sequence[str]
    columns: list[Any]


class RunMerge:
    """The windows of one run that are not final yet.

    ``expected`` are the source partitions of the run: one that has never said a word holds every window back.
    """

    def __init__(self, columns: Sequence[Column], expected: Iterable[Source]) -> None:
        self._columns = columns
        self._sources: dict[Source, _SourceState] = {}
        self._pending: dict[int, _Pending] = {}
        self.scored_until = NO_WINDOW
        self.late = 0
        self.expect(expected)

    def expect(self, sources: Iterable[Source]) -> None:
        """Set the sources of the run; one that is gone holds nobody back any more."""
        wanted = set(sources)
        self._sources = {source: self._sources.get(source, _SourceState()) for source in wanted}

    def add(self, partial: Partial, offset: int) -> None:
        """Take in one record of the partials topic."""
        source = (partial.topic, partial.partition)
        state = self._sources.setdefault(source, _SourceState())
        for window in partial.windows:
            if window.end <= state.closed_until:
                continue
            if window.end <= self.scored_until:
                # A source that was idle woke up with windows that are final without it.
                self.late += len(window.entities)
                continue
            pending = self._pending.setdefault(window.end, _Pending(offset))
            if window.piece == 0:
                pending.parts[source] = [window]
            elif window.piece == len(pending.parts.get(source, ())):
                pending.parts[source].append(window)
        state.closed_until = max(state.closed_until, partial.closed_until)
        state.idle = partial.idle
        state.finished = state.finished or partial.finished

    @property
    def watermark(self) -> int:
        """Every window that ends at or before this is final."""
        holding = [state.closed_until for state in self._sources.values() if not (state.idle or state.finished)]
        if holding:
            return max(self.scored_until, min(holding))
        return max([self.scored_until, *(state.closed_until for state in self._sources.values())])

    @property
    def finished(self) -> bool:
        """Whether every source has said its last word (scans only)."""
        return bool(self._sources) and all(state.finished for state in self._sources.values())

    @property
    def first_offset(self) -> int | None:
        """Offset of the oldest record that a pending window needs."""
        return min((pending.first_offset for pending in self._pending.values()), default=None)

    @property
    def backlog(self) -> int:
        """How many rows wait in windows that are final."""
        watermark = self.watermark
        return sum(
            len(part.entities)
            for end, pending in self._pending.items()
            if end <= watermark
            for pieces in pending.parts.values()
            for part in pieces
        )

    def take(self, most: int | None = None) -> list[FinalWindow]:
        """Take out the windows that have become final, oldest first; not many more rows than ``most``."""
        watermark = self.watermark
        windows: list[FinalWindow] = []
        rows = 0
        for end in sorted(end for end in self._pending if end <= watermark):
            if most is not None and rows >= most:
                self.scored_until = windows[-1].end
                return windows
            windows.append(self._merged(end, self._pending.pop(end)))
            rows += len(windows[-1].entities)
        self.scored_until = watermark
        return windows

    def _merged(self, end: int, pending: _Pending) -> FinalWindow:
        # Sorted, so that sums of floats come out the same whichever source was heard first.
        parts = [
            joined([(piece.entities, piece.columns) for piece in pending.parts[source]])
            for source in sorted(pending.parts)
        ]
        if len(parts) == 1:
            entities, data = parts[0]
            columns = [column.from_bytes(each) for column, each in zip(self._columns, data, strict=True)]
            return FinalWindow(end, pending.first_offset, entities, columns)
        codes: dict[str, int] = {}
        rows = [
            np.array([codes.setdefault(entity, len(codes)) for entity in entities], np.int64) for entities, _ in parts
        ]
        columns = [
            column.merged(
                len(codes),
                [(at, column.from_bytes(data[index])) for at, (_, data) in zip(rows, parts, strict=True)],
            )
            for index, column in enumerate(self._columns)
        ]
        return FinalWindow(end, pending.first_offset, list(codes), columns)
