"""Event-time windows of one run over one source partition.

Window k covers ``[k * interval, (k + 1) * interval)`` of event time, aligned to the epoch. The state at offset O is
exactly the fold of the records before O, however they were cut into batches.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from schemas.checkpoint import OpenWindow, RunCheckpoint
from schemas.partial import NO_WINDOW, WindowPart
from streams.columns import Input
from streams.ingest.entities import NO_ENTITY, EntityTable
from streams.plan import Plan

Float64Array = npt.NDArray[np.float64]
Int64Array = npt.NDArray[np.int64]

_CODE_BITS = 28
"""Window number and entity code share an int64: 2^28 entities, windows of 1 s until the year 3058."""

_CODE_MASK = (1 << _CODE_BITS) - 1


@dataclass(frozen=True)
class Batch:
    """Records of one run in offset order. ``entities`` are codes, ``values`` one array an input, NaN for none."""

    offsets: Int64Array
    times: Int64Array
    entities: Int64Array
    values: dict[Input, Float64Array]

    def since(self, offset: int) -> Batch:
        """The records at or after an offset."""
        start = int(np.searchsorted(self.offsets, offset))
        if start == 0:
            return self
        return Batch(
            self.offsets[start:],
            self.times[start:],
            self.entities[start:],
            {key: values[start:] for key, values in self.values.items()},
        )


@dataclass(frozen=True)
class Closed:
    """A closed window: its part for each model partition that has entities in it."""

    end: int
    parts: dict[int, WindowPart]


class RunWindows:
    """The open windows. ``offset`` is the next record to fold; records before it are repeats and skipped.

    ``clock`` is the highest event time seen (None before the first record), ``closed_until`` the end of the newest
    window that is closed (``NO_WINDOW`` before the first). ``late`` counts records of closed windows.
    """

    def __init__(self, plan: Plan, entities: EntityTable, offset: int) -> None:
        self.plan = plan
        self.offset = offset
        self.clock: int | None = None
        self.closed_until = NO_WINDOW
        self.late = 0
        self.records = 0
        self._entities = entities
        # One place for each (window, entity), sorted: closing a window takes off the front.
        self._keys: Int64Array = np.empty(0, np.int64)
        self._columns: list[Float64Array] = [column.empty(0) for column in plan.columns]

    def fold(self, batch: Batch, next_offset: int) -> None:
        """Take records in. ``next_offset`` is where the source stands after them, whatever was in the batch."""
        batch = batch.since(self.offset)
        self.offset = max(self.offset, next_offset)
        belongs = batch.entities != NO_ENTITY
        if not len(batch.times):
            return
        interval, delay = self.plan.interval_ms, self.plan.delay_ms
        numbers = np.floor_divide(batch.times, interval)
        ends = (numbers + 1) * interval
        highest = np.maximum.accumulate(batch.times if self.clock is None else np.maximum(batch.times, self.clock))
        # A record is late when its window has closed by then: judged record by record, not by the batch.
        late = (highest >= ends + delay) | (ends <= self.closed_until)
        self.clock = int(highest[-1])
        kept = np.flatnonzero(belongs & ~late)
        self.late += int((belongs & late).sum())
        self.records += len(kept)
        if len(kept):
            places = self._places((numbers[kept] << _CODE_BITS) | batch.entities[kept])
            for column, accumulators in zip(self.plan.columns, self._columns, strict=True):
                column.fold(accumulators, places, batch.values[column.input][kept])

    def skip_to(self, offset: int) -> None:
        """There is no record for this run before ``offset``."""
        self.offset = max(self.offset, offset)

    def advance(self, clock: int) -> None:
        """Let the clock go on without a record. Never goes back."""
        self.clock = clock if self.clock is None else max(self.clock, clock)

    def close(self) -> list[Closed]:
        """Take out the windows that are due by the clock, oldest first."""
        if self.clock is None:
            return []
        due = (self.clock - self.plan.delay_ms) // self.plan.interval_ms
        return self._take_until(due * self.plan.interval_ms)

    def close_all(self) -> list[Closed]:
        """Take out every open window, due or not, oldest first."""
        if not len(self._keys):
            return []
        last = int(self._keys[-1] >> _CODE_BITS)
        return self._take_until((last + 1) * self.plan.interval_ms)

    def _take_until(self, end: int) -> list[Closed]:
        if end <= self.closed_until:
            return []
        self.closed_until = end
        count = int(np.searchsorted(self._keys, (end // self.plan.interval_ms) << _CODE_BITS))
        if count == 0:
            return []
        keys, self._keys = self._keys[:count], self._keys[count:].copy()
        columns = [column[:count] for column in self._columns]
        self._columns = [column[count:].copy() for column in self._columns]
        return list(self._closed(keys, columns))

    def _closed(self, keys: Int64Array, columns: list[Float64Array]) -> Iterator[Closed]:
        codes = keys & _CODE_MASK
        partitions = self._entities.partitions(codes)
        for start, stop in _runs(keys >> _CODE_BITS):
            end = (int(keys[start] >> _CODE_BITS) + 1) * self.plan.interval_ms
            order = start + np.argsort(partitions[start:stop], kind="stable")
            sorted_partitions = partitions[order]
            parts = {
                int(sorted_partitions[first]): self._part(end, codes, columns, order[first:last])
                for first, last in _runs(sorted_partitions)
            }
            yield Closed(end, parts)

    def _part(self, end: int, codes: Int64Array, columns: list[Float64Array], places: Int64Array) -> WindowPart:
        names = self._entities.keys
        return WindowPart(
            end,
            [names[code] for code in codes[places].tolist()],
            [kind.to_bytes(column[places]) for kind, column in zip(self.plan.columns, columns, strict=True)],
        )

    def _places(self, keys: Int64Array) -> Int64Array:
        places = np.searchsorted(self._keys, keys)
        known = np.zeros(len(keys), bool)
        inside = places < len(self._keys)
        known[inside] = self._keys[places[inside]] == keys[inside]
        if known.all():
            return places
        fresh = np.unique(keys[~known])
        at = np.searchsorted(self._keys, fresh)
        self._keys = np.insert(self._keys, at, fresh)
        self._columns = [
            np.insert(accumulators, at, column.empty(1)[0])
            for column, accumulators in zip(self.plan.columns, self._columns, strict=True)
        ]
        return np.searchsorted(self._keys, keys)

    # -- checkpoints ------------------------------------------------------------------------------------------

    def snapshot(self) -> RunCheckpoint:
        """This state, as ``restore`` reads it."""
        names = self._entities.keys
        windows = [
            OpenWindow(
                (int(self._keys[start] >> _CODE_BITS) + 1) * self.plan.interval_ms,
                [names[code] for code in (self._keys[start:stop] & _CODE_MASK).tolist()],
                [
                    kind.to_bytes(column[start:stop])
                    for kind, column in zip(self.plan.columns, self._columns, strict=True)
                ],
            )
            for start, stop in _runs(self._keys >> _CODE_BITS)
        ]
        return RunCheckpoint(
            owner=self.plan.owner,
            run=self.plan.run,
            offset=self.offset,
            clock=self.clock,
            closed_until=self.closed_until,
            late=self.late,
            records=self.records,
            windows=windows,
        )

    def restore(self, checkpoint: RunCheckpoint) -> None:
        """Take over the state of a snapshot of the same run."""
        self.offset, self.clock = checkpoint.offset, checkpoint.clock
        self.closed_until = checkpoint.closed_until
        self.late, self.records = checkpoint.late, checkpoint.records
        keys, columns = [], [[column.empty(0)] for column in self.plan.columns]
        for window in checkpoint.windows:
            number = window.end // self.plan.interval_ms - 1
            codes = np.array([self._entities.code(entity) for entity in window.entities], np.int64)
            keys.append((number << _CODE_BITS) | codes)
            for kind, column, data in zip(self.plan.columns, columns, window.columns, strict=True):
                column.append(kind.from_bytes(data))
        joined = np.concatenate([np.empty(0, np.int64), *keys])
        order = np.argsort(joined)
        self._keys = joined[order]
        self._columns = [np.concatenate(column)[order] for column in columns]


def _runs(values: Int64Array) -> Iterator[tuple[int, int]]:
    """Start and stop of each stretch of equal values."""
    if not len(values):
        return
    edges = [0, *(np.flatnonzero(values[1:] != values[:-1]) + 1).tolist(), len(values)]
    yield from pairwise(edges)
