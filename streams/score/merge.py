"""Merging the partials of all source partitions of one run, on one model partition.

A window is final when every source that is waited for has closed it. First write wins: what a restarted ingest emits
again for windows that its source has closed already is a repeat, and what the former owner of a source writes after its
successor is refused by its epoch.

Deterministic record by record: what is final, and so which rows are late, depends on the records before one only, not
on how they were fetched or when they were scored. A scorer that was paused and goes on from an older position of the
partials topic comes to the same windows as its successor.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from schemas.partial import NO_WINDOW, Partial, WindowPart
from streams.features.columns import Column
from streams.features.pieces import joined

Source = tuple[str, int]
"""Topic and partition."""

Fences = dict[Source, tuple[int, int]]
"""For sources, the epoch of the owner, and the offset of its first partial: from there on, lower epochs are refused."""

NO_LIMIT = 2**62
"""A trailing limit that nothing reaches, in ms."""


@dataclass
class _SourceState:
    epoch: int = -1
    closed_until: int = NO_WINDOW
    idle: bool = False
    caught_up: bool = False
    finished: bool = False

    @property
    def holds(self) -> bool:
        """Whether windows wait for this source."""
        return not (self.idle or self.finished)


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

    ``expected`` are the source partitions of the run: one that has never emitted anything holds every window back. A
    source that has been read to its end (``caught_up``) and whose windows are still more than ``trailing_limit_ms`` of
    event time behind those of the others is not waited for: it is in ``trailing``. One that has closed nothing yet is
    not known to be behind: its first records are too few to tell, and it is soon idle if no more come.

    ``late`` counts, by source, the rows of windows that were final without them, ``watermark`` is the end up to which
    windows are final. ``fences`` are those that were known when the partials were read before.
    """

    def __init__(
        self,
        columns: Sequence[Column],
        expected: Iterable[Source],
        *,
        trailing_limit_ms: int = NO_LIMIT,
        fences: Mapping[Source, tuple[int, int]] | None = None,
    ) -> None:
        self._columns = columns
        self._trailing_limit_ms = trailing_limit_ms
        self._fences = fences or {}
        self._sources: dict[Source, _SourceState] = {}
        self._pending: dict[int, _Pending] = {}
        # The lowest end among the sources that hold windows back, and how many of them stand there.
        self._lowest = NO_WINDOW
        self._at_lowest = 0
        self._highest = NO_WINDOW
        self.watermark = NO_WINDOW
        self.scored_until = NO_WINDOW
        self.late: Counter[Source] = Counter()
        self.trailing: list[Source] = []
        self.expect(expected)

    def expect(self, sources: Iterable[Source]) -> None:
        """Set the sources of the run; one that is gone holds nobody back any more."""
        wanted = set(sources)
        if wanted != self._sources.keys():
            self._sources = {source: self._sources.get(source) or _SourceState() for source in wanted}
            self._advance()

    def add(self, partial: Partial, offset: int) -> bool:
        """Take in one record of the partials topic; False for one of a former owner of its source."""
        source = (partial.topic, partial.partition)
        state = self._sources.setdefault(source, _SourceState())
        epoch, begin = self._fences.get(source, (-1, 0))
        if partial.epoch < (max(state.epoch, epoch) if offset >= begin else state.epoch):
            return False
        state.epoch = partial.epoch
        for window in partial.windows:
            if window.end <= state.closed_until:
                continue
            if window.end <= self.watermark:
                # Final without this source: it was idle, trailing, or added later.
                self.late[source] += len(window.entities)
                continue
            pending = self._pending.setdefault(window.end, _Pending(offset))
            if window.piece == 0:
                pending.parts[source] = [window]
            elif window.piece == len(pending.parts.get(source, ())):
                pending.parts[source].append(window)
        self._update(state, partial)
        return True

    def _update(self, state: _SourceState, partial: Partial) -> None:
        before = (state.holds, state.caught_up)
        was_lowest = state.holds and state.closed_until == self._lowest
        moved = partial.closed_until > state.closed_until
        state.closed_until = max(state.closed_until, partial.closed_until)
        state.idle, state.caught_up = partial.idle, partial.caught_up
        state.finished = state.finished or partial.finished
        self._highest = max(self._highest, state.closed_until)
        if was_lowest and moved:
            self._at_lowest -= 1
        # A run may have thousands of sources: they are compared only when the answer may have changed.
        trailing = bool(self.trailing) or self._highest - self._lowest > self._trailing_limit_ms
        if before != (state.holds, state.caught_up) or self._at_lowest <= 0 or trailing:
            self._advance()

    def _advance(self) -> None:
        """Move the watermark to where the sources that are waited for have come."""
        holding = sorted(state.closed_until for state in self._sources.values() if state.holds)
        # Half of the others must be that far ahead: a single source that is ahead leaves nobody behind.
        limit = holding[len(holding) // 2] - self._trailing_limit_ms if holding else NO_WINDOW
        self.trailing = [
            source
            for source, state in sorted(self._sources.items())
            if state.holds and state.caught_up and NO_WINDOW < state.closed_until < limit
        ]
        left = set(self.trailing)
        ends = [state.closed_until for source, state in self._sources.items() if state.holds and source not in left]
        if ends:
            self._lowest = min(ends)
            self._at_lowest = ends.count(self._lowest)
            self.watermark = max(self.watermark, self._lowest)
        else:
            self._lowest = self._at_lowest = 0
            self.watermark = max([self.watermark, *(state.closed_until for state in self._sources.values())])

    @property
    def finished(self) -> bool:
        """Whether every source has come to its end (scans only)."""
        return bool(self._sources) and all(state.finished for state in self._sources.values())

    @property
    def first_offset(self) -> int | None:
        """Offset of the oldest record that a pending window needs."""
        return min((pending.first_offset for pending in self._pending.values()), default=None)

    @property
    def backlog(self) -> int:
        """How many rows wait in windows that are final."""
        return sum(
            len(part.entities)
            for end, pending in self._pending.items()
            if end <= self.watermark
            for pieces in pending.parts.values()
            for part in pieces
        )

    def take(self, most: int | None = None) -> list[FinalWindow]:
        """Take out the windows that have become final, oldest first; not many more rows than ``most``."""
        windows: list[FinalWindow] = []
        rows = 0
        for end in sorted(end for end in self._pending if end <= self.watermark):
            if most is not None and rows >= most:
                self.scored_until = windows[-1].end
                return windows
            windows.append(self._merged(end, self._pending.pop(end)))
            rows += len(windows[-1].entities)
        self.scored_until = self.watermark
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
