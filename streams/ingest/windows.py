"""Event-time windows of one run over one source partition.

Window k covers ``[k * interval, (k + 1) * interval)`` of event time, aligned to the epoch. The state at offset O is
exactly the fold of the records before O, however they were cut into batches.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from schemas.checkpoint import OpenWindow, RunCheckpoint
from schemas.partial import NO_WINDOW, Partial, WindowPart
from streams.features.columns import Input
from streams.features.pieces import cut_partial
from streams.features.plan import Plan
from streams.ingest.entities import NO_ENTITY, Entities, EntityTable
from streams.ingest.watermark import Watermark

Float64Array = npt.NDArray[np.float64]
Int64Array = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

_CODE_BITS = 28
"""Window number and entity code share an int64: 2^28 entities, and windows of 1 s within the ``MAX_TIME`` of times."""

_CODE_MASK = (1 << _CODE_BITS) - 1


@dataclass(frozen=True)
class Batch:
    """Records of one run in offset order.

    ``times`` are event times and ``written`` Kafka timestamps (``UNSTAMPED`` where there is none), in epoch ms.
    ``entities`` are codes of ``table``; ``values`` has one array an input, NaN for no value. A record with several
    values of a field is there several times; ``again`` marks the repetitions.
    """

    offsets: Int64Array
    times: Int64Array
    written: Int64Array
    table: Entities
    entities: Int64Array
    values: dict[Input, Float64Array]
    again: BoolArray | None = None

    @classmethod
    def joined(cls, batches: Sequence[Batch]) -> Batch:
        """Batches of the same table, one behind the other."""
        again = [np.zeros(len(each.times), bool) if each.again is None else each.again for each in batches]
        return cls(
            np.concatenate([each.offsets for each in batches]),
            np.concatenate([each.times for each in batches]),
            np.concatenate([each.written for each in batches]),
            batches[0].table,
            np.concatenate([each.entities for each in batches]),
            {key: np.concatenate([each.values[key] for each in batches]) for key in batches[0].values},
            np.concatenate(again) if any(each.again is not None for each in batches) else None,
        )

    def since(self, offset: int) -> Batch:
        """The records at or after an offset."""
        start = int(np.searchsorted(self.offsets, offset))
        if start == 0:
            return self
        return Batch(
            self.offsets[start:],
            self.times[start:],
            self.written[start:],
            self.table,
            self.entities[start:],
            {key: values[start:] for key, values in self.values.items()},
            None if self.again is None else self.again[start:],
        )

    def count(self, which: BoolArray) -> int:
        """How many of these are no repetitions."""
        return int(np.count_nonzero(which if self.again is None else which & ~self.again))

    def where(self, kept: BoolArray) -> Batch:
        """The records that are marked."""
        if kept.all():
            return self
        return Batch(
            self.offsets[kept],
            self.times[kept],
            self.written[kept],
            self.table,
            self.entities[kept],
            {key: values[kept] for key, values in self.values.items()},
            None if self.again is None else self.again[kept],
        )


@dataclass(frozen=True)
class Closed:
    """A closed window: its part for each model partition that has entities in it."""

    end: int
    parts: dict[int, WindowPart]


class RunWindows:
    """The open windows. ``offset`` is the next record to fold; records before it are repeats and skipped.

    ``closed_until`` is the end of the newest window that is closed (``NO_WINDOW`` before the first). ``late`` counts
    records of closed windows.
    """

    def __init__(self, plan: Plan, entities: EntityTable, offset: int) -> None:
        self.plan = plan
        self.offset = offset
        self.watermark = Watermark(plan.delay_ms, plan.most_delay_ms)
        self.closed_until = NO_WINDOW
        self.late = 0
        self.records = 0
        self._table = entities
        self._entities = entities.current
        # One key for each open (window, entity), sorted: closing a window takes off the front. The accumulators of
        # a key stand in the row that ``_rows`` names, since a column is too costly to keep sorted, too.
        self._keys: Int64Array = np.empty(0, np.int64)
        self._rows: Int64Array = np.empty(0, np.int64)
        self._capacity = 0
        self._columns: list[Any] = [column.empty(0) for column in plan.columns]

    def fold(self, batch: Batch, next_offset: int) -> None:
        """Take records in. ``next_offset`` is where the source stands after them, whatever was in the batch."""
        self._renew()
        batch = batch.since(self.offset)
        self.offset = max(self.offset, next_offset)
        belongs = batch.entities != NO_ENTITY
        if not len(batch.times):
            return
        numbers = np.floor_divide(batch.times, self.plan.interval_ms)
        ends = (numbers + 1) * self.plan.interval_ms
        # A record is late when its window has closed by then: judged record by record, not by the batch.
        frontier = self.watermark.take(batch.times, batch.written, batch.again)
        late = (ends <= frontier) | (ends <= self.closed_until)
        self.late += batch.count(belongs & late)
        self.records += batch.count(belongs & ~late)
        kept = np.flatnonzero(belongs & ~late)
        if len(kept):
            rows = self._rows_of((numbers[kept] << _CODE_BITS) | self._codes(batch, kept))
            for column, accumulators in zip(self.plan.columns, self._columns, strict=True):
                column.fold(accumulators, rows, batch.values[column.input][kept])

    def skip_to(self, offset: int) -> None:
        """There is no record for this run before ``offset``."""
        self.offset = max(self.offset, offset)

    def close(self) -> list[Closed]:
        """Take out the windows up to the watermark's frontier, oldest first."""
        self._renew()
        if self.watermark.frontier == NO_WINDOW:
            return []
        return self._take_until(self.watermark.frontier // self.plan.interval_ms * self.plan.interval_ms)

    def close_all(self) -> list[Closed]:
        """Take out every open window, due or not, oldest first."""
        if not len(self._keys):
            return []
        last = int(self._keys[-1] >> _CODE_BITS)
        return self._take_until((last + 1) * self.plan.interval_ms)

    def partials(
        self,
        topic: str,
        partition: int,
        closed: Sequence[Closed],
        *,
        until: int,
        epoch: int = 0,
        idle: bool = False,
        caught_up: bool = False,
        finished: bool = False,
        max_bytes: int,
    ) -> Iterator[tuple[int, Partial]]:
        """What a source says about ``closed`` windows: model partitions and records for them, in order.

        Every model partition is told: that it has nothing of a window ``until`` then is news, too.
        """
        for target in range(self.plan.partitions):
            said = Partial(
                owner=self.plan.owner,
                run=self.plan.run,
                topic=topic,
                partition=partition,
                epoch=epoch,
                closed_until=until,
                idle=idle,
                caught_up=caught_up,
                finished=finished,
                late=self.late,
                records=self.records,
                windows=[window.parts[target] for window in closed if target in window.parts],
            )
            for partial in cut_partial(said, self.plan.columns, max_bytes):
                yield target, partial

    def _take_until(self, end: int) -> list[Closed]:
        if end <= self.closed_until:
            return []
        self.closed_until = end
        count = int(np.searchsorted(self._keys, (end // self.plan.interval_ms) << _CODE_BITS))
        if count == 0:
            return []
        closed = self._closed(self._keys[:count], self._rows[:count])
        self._keys = self._keys[count:].copy()
        left = self._rows[count:]
        self._columns = self._taken(left)
        self._rows = np.arange(len(left))
        self._capacity = len(left)
        return closed

    def _taken(self, rows: Int64Array) -> list[Any]:
        return [
            column.taken(accumulators, rows)
            for column, accumulators in zip(self.plan.columns, self._columns, strict=True)
        ]

    def _closed(self, keys: Int64Array, rows: Int64Array) -> list[Closed]:
        codes, numbers = keys & _CODE_MASK, keys >> _CODE_BITS
        # All windows together: a replay may close thousands at once that hold one entity each.
        targets = (numbers - numbers[0]) * self.plan.partitions + self._entities.partitions(codes)
        order = np.argsort(targets, kind="stable")
        targets = targets[order]
        edges = _edges(targets)
        closed: dict[int, Closed] = {}
        contents = self._contents(codes[order], rows[order], edges)
        for target, content in zip(targets[edges[:-1]].tolist(), contents, strict=True):
            number, partition = divmod(target, self.plan.partitions)
            end = (int(numbers[0]) + number + 1) * self.plan.interval_ms
            closed.setdefault(end, Closed(end, {})).parts[partition] = WindowPart(end, *content)
        return list(closed.values())

    def _contents(
        self, codes: Int64Array, rows: Int64Array, edges: Sequence[int]
    ) -> Iterator[tuple[list[str], list[bytes]]]:
        """Entities and columns of open windows, as they travel: those between each two edges."""
        names = self._entities.names
        entities = [names[code] for code in codes.tolist()]
        columns = []
        for column, accumulators in zip(self.plan.columns, self._taken(rows), strict=True):
            data = column.to_bytes(accumulators)
            ends = np.concatenate([[0], np.cumsum(column.sizes(data))])[edges].tolist()
            columns.append([data[start:stop] for start, stop in pairwise(ends)])
        for (start, stop), *pieces in zip(pairwise(edges), *columns, strict=True):
            yield entities[start:stop], pieces

    # -- entities and rows ------------------------------------------------------------------------------------

    def _renew(self) -> None:
        """Move on to the table's current generation, with the entities that are still needed."""
        old, new = self._entities, self._table.current
        if old is new:
            return
        self._entities = new
        codes, places = np.unique(self._keys & _CODE_MASK, return_inverse=True)
        renewed = new.carry(old.names[code] for code in codes.tolist())[places]
        keys = self._keys & ~_CODE_MASK | renewed
        order = np.argsort(keys)
        self._keys, self._rows = keys[order], self._rows[order]

    def _codes(self, batch: Batch, kept: Int64Array) -> Int64Array:
        codes = batch.entities[kept]
        if batch.table is self._entities:
            return codes
        # The generation changed between decoding and folding.
        return self._entities.carry(batch.table.names[code] for code in codes.tolist())

    def _rows_of(self, keys: Int64Array) -> Int64Array:
        # In order the search stays within the processor's cache: half the time with 100,000 entities.
        order = np.argsort(keys)
        ordered = keys[order]
        places = np.searchsorted(self._keys, ordered)
        inside = places < len(self._keys)
        known = np.zeros(len(keys), bool)
        known[inside] = self._keys[places[inside]] == ordered[inside]
        if not known.all():
            self._insert(np.unique(ordered[~known]))
            places = np.searchsorted(self._keys, ordered)
        rows = np.empty_like(places)
        rows[order] = self._rows[places]
        return rows

    def _insert(self, keys: Int64Array) -> None:
        size = len(self._keys)
        at = np.searchsorted(self._keys, keys)
        self._keys = np.insert(self._keys, at, keys)
        self._rows = np.insert(self._rows, at, np.arange(size, size + len(keys)))
        if len(self._keys) > self._capacity:
            self._capacity = max(2 * self._capacity, len(self._keys))
            self._columns = [
                column.extended(accumulators, self._capacity)
                for column, accumulators in zip(self.plan.columns, self._columns, strict=True)
            ]

    # -- checkpoints ------------------------------------------------------------------------------------------

    def snapshot(self) -> RunCheckpoint:
        """This state, as ``restore`` reads it."""
        numbers = self._keys >> _CODE_BITS
        edges = _edges(numbers)
        contents = self._contents(self._keys & _CODE_MASK, self._rows, edges)
        windows = [
            OpenWindow((number + 1) * self.plan.interval_ms, *content)
            for number, content in zip(numbers[edges[:-1]].tolist(), contents, strict=True)
        ]
        return RunCheckpoint(
            owner=self.plan.owner,
            run=self.plan.run,
            offset=self.offset,
            watermark=self.watermark.snapshot(),
            closed_until=self.closed_until,
            late=self.late,
            records=self.records,
            windows=windows,
        )

    def restore(self, checkpoint: RunCheckpoint) -> None:
        """Take over the state of a snapshot of the same run."""
        self.offset = checkpoint.offset
        self.watermark.restore(checkpoint.watermark)
        self.closed_until = checkpoint.closed_until
        self.late, self.records = checkpoint.late, checkpoint.records
        self._renew()
        keys = [np.empty(0, np.int64)]
        for window in checkpoint.windows:
            number = window.end // self.plan.interval_ms - 1
            keys.append((number << _CODE_BITS) | self._entities.carry(window.entities))
        joined = np.concatenate(keys)
        self._rows = np.argsort(joined)
        self._keys = joined[self._rows]
        self._capacity = len(joined)
        everything = np.arange(self._capacity)
        # ``taken`` copies: what was read from bytes is not to be folded into.
        self._columns = [
            column.taken(
                column.from_bytes(b"".join(window.columns[index] for window in checkpoint.windows)), everything
            )
            for index, column in enumerate(self.plan.columns)
        ]


def _edges(values: Int64Array) -> list[int]:
    """Where each stretch of equal values begins, and the end of the last one.

    >>> _edges(np.array([5, 5, 7])), _edges(np.array([], np.int64))
    ([0, 2, 3], [0])
    """
    if not len(values):
        return [0]
    return [0, *(np.flatnonzero(values[1:] != values[:-1]) + 1).tolist(), len(values)]
