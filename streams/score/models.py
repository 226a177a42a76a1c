"""The models of one detector on one model partition: which entity is which row, which are due for a checkpoint."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from schemas.checkpoint import ModelCheckpoint
from streams.forest import ForestSpec, Steps, open_bank
from streams.score.spill import Spill

Int64Array = npt.NDArray[np.int64]
Float64Array = npt.NDArray[np.float64]

CLEAN = np.iinfo(np.int64).max
"""``dirty_since`` of a model of which everything has been snapshot."""

_NEVER = np.iinfo(np.int64).min

FOREVER = 2**62
"""A lifetime that nothing reaches, in ms."""

_FILLS = {
    "_run": -1,
    "_last_end": _NEVER,
    "_dirty_since": CLEAN,
    "_saving_since": CLEAN,
    "_windows": 0,
    "_changed_at": 0,
    "used_at": 0,
    "checkpoint_at": 0,
}
"""The arrays with an entry a row, and what they say about a row that nothing is known of."""


@dataclass(frozen=True)
class Events:
    """Windows of many entities to score: one event an entity and window, oldest window first."""

    entities: Sequence[str]
    ends: Int64Array
    values: Float64Array
    first_offsets: Int64Array


@dataclass(frozen=True)
class Scored:
    """What ``DetectorModels.score`` did: ``kept`` are the indices of the events that were not repeats."""

    kept: Int64Array
    rows: Int64Array
    steps: Steps


class DetectorModels:
    """Rows of models, one an entity, in the arrays of a forest bank.

    Each model remembers its last window and the run it was in: a window that it has seen is a repeat and changes
    nothing, so a replay of the partials topic is harmless. A later run may bring older windows again (an archive
    replayed through the topic): for it the memory of windows starts anew while the model goes on.

    What an entity's model has learned is forgotten when the entity was away for more than ``lifetime_ms`` of event
    time.

    A checkpoint takes three steps: ``snapshot``, write and ``confirm``. In between, and if it fails, the offset that is
    safe stays before what the snapshots hold. ``evict`` takes models out of memory; they come back by themselves when
    there is something to score, as they were. ``bytes_per_model`` is the memory of one model in the forest's arrays.
    """

    def __init__(
        self,
        owner: str,
        spec: ForestSpec,
        *,
        checkpoint_windows: int,
        definition: str = "",
        lifetime_ms: int = FOREVER,
        capacity: int = 1,
    ) -> None:
        self.owner = owner
        self.definition = definition
        self.lifetime_ms = lifetime_ms
        self._names: list[str] = []  # by row; that of a free row means nothing
        self._free: list[int] = []
        self._spill: Spill | None = None
        self._most_rows_evicted = 0
        self._row_of: dict[str, int] = {}
        self._checkpoint_windows = checkpoint_windows
        self._forest = open_bank(spec, capacity)
        self.bytes_per_model = self._forest.bytes_per_model
        self._capacity = capacity
        self._run = np.full(capacity, -1, np.int64)
        self._last_end = np.full(capacity, _NEVER, np.int64)
        self._dirty_since = np.full(capacity, CLEAN, np.int64)
        self._saving_since = np.full(capacity, CLEAN, np.int64)
        self._windows = np.zeros(capacity, np.int64)
        self._changed_at = np.zeros(capacity, np.int64)
        self.used_at = np.zeros(capacity, np.int64)
        self.checkpoint_at = np.zeros(capacity, np.int64)

    def __len__(self) -> int:
        """How many models are in memory."""
        return len(self._row_of)

    @property
    def total(self) -> int:
        """How many models there are, in memory or not."""
        return len(self._row_of) + (0 if self._spill is None else len(self._spill))

    @property
    def entities(self) -> list[str]:
        """The entities whose models are in memory, by their row as long as none was ever evicted."""
        return list(self._row_of) if self._free else self._names

    def everyone(self) -> Iterator[str]:
        """All entities, whether their models are in memory or not."""
        yield from self._row_of
        if self._spill is not None:
            yield from self._spill

    def rows(self) -> Int64Array:
        """The rows in use."""
        if self._free:
            return np.sort(np.fromiter(self._row_of.values(), np.int64, len(self._row_of)))
        return np.arange(len(self._names), dtype=np.int64)

    def rows_of(self, most: int) -> list[tuple[int, str]]:
        """At most so many rows in use with their entities."""
        return [(row, entity) for entity, row in itertools.islice(self._row_of.items(), most)]

    def most_rows_seen(self) -> int:
        """How many windows the most advanced model has learned from."""
        rows = self.rows()
        return max(self._most_rows_evicted, int(self._forest.seen(rows).max()) if rows.size else 0)

    def rows_seen(self) -> Int64Array:
        """How many windows each model in memory has learned from, in the order of the rows."""
        return self._forest.seen(self.rows())

    def seen(self, entity: str) -> int:
        """How many windows the entity's model has learned from; 0 for an unknown entity."""
        if entity not in self._row_of and (self._spill is None or entity not in self._spill):
            return 0
        return int(self._forest.seen(self._rows_for([entity]))[0])

    def active_since(self, moment: int) -> int:
        """How many models in memory were used at ``moment`` or later."""
        return int((self.used_at[self.rows()] >= moment).sum())

    def oldest_end(self, run: int) -> int | None:
        """The end of the last window of the model that is furthest behind in this run, None without any."""
        size = len(self._names)
        ends = self._last_end[:size][self._run[:size] == run]
        return int(ends.min()) if ends.size else None

    def score(self, run: int, events: Events, now: int, since: int | None = None) -> Scored:
        """Score the events and learn from them, in the order given.

        ``since``: where the cold start of the run begins. Windows after it that a model knows are repeats in this
        run, too. The windows of one call span less than the lifetime of models.
        """
        rows = self._rows_for(events.entities)
        if self.lifetime_ms != FOREVER:
            self._begin_anew(rows, events.ends)
        known = self._last_end[rows] >= events.ends
        fresh = (self._run[rows] < run) | ((self._run[rows] == run) & ~known)
        if since is not None:
            fresh &= ~known | (events.ends <= since)
        kept = np.flatnonzero(fresh)
        rows, ends = rows[kept], events.ends[kept]
        steps = self._forest.step(rows, ends, events.values[kept])
        self._run[rows] = run
        # Oldest first: where a row occurs more than once the assignment of the last occurrence stays.
        self._last_end[rows] = ends
        np.minimum.at(self._dirty_since, rows, events.first_offsets[kept])
        np.add.at(self._windows, rows, 1)
        self._changed_at[rows] = np.where(self._changed_at[rows] == 0, now, self._changed_at[rows])
        self.used_at[rows] = now
        # A new model counts as saved: it was empty, and what it learned since is read again from the log.
        self.checkpoint_at[rows] = np.where(self.checkpoint_at[rows] == 0, now, self.checkpoint_at[rows])
        return Scored(kept, rows, steps)

    def _begin_anew(self, rows: Int64Array, ends: Int64Array) -> None:
        """Reset the models of entities that come back after more than the lifetime.

        By event time, and whether they are still in memory or not: a replay comes to the same.
        """
        back, first = np.unique(rows, return_index=True)
        last = self._last_end[back]
        away = back[(last != _NEVER) & (last < ends[first] - self.lifetime_ms)]
        if away.size:
            self._forest.reset(away)
            self._last_end[away] = _NEVER

    # -- checkpoints ------------------------------------------------------------------------------------------

    def safe_offset(self, position: int) -> int:
        """The offset from which the partials would have to be read again to rebuild what no checkpoint contains."""
        size = len(self._names)
        if not size:
            return position
        return min(position, int(self._dirty_since[:size].min()), int(self._saving_since[:size].min()))

    def due(self, now: int, interval_ms: int) -> Int64Array:
        """Rows to checkpoint: changed by enough windows, or long ago."""
        size = len(self._names)
        changed = self._dirty_since[:size] != CLEAN
        many = self._windows[:size] >= self._checkpoint_windows
        old = self._changed_at[:size] + interval_ms <= now
        return np.flatnonzero(changed & (many | old)).astype(np.int64)

    def dirty(self) -> Int64Array:
        """Rows that have changed since their last snapshot."""
        return np.flatnonzero(self._dirty_since[: len(self._names)] != CLEAN).astype(np.int64)

    def snapshot(self, rows: Int64Array, now: int) -> list[ModelCheckpoint]:
        """Snapshots of the rows, to be written and then confirmed. No others may be under way."""
        if not rows.size:
            return []
        snapshots = self._snapshots(rows)
        self._saving_since[rows] = np.minimum(self._saving_since[rows], self._dirty_since[rows])
        self._dirty_since[rows] = CLEAN
        self._windows[rows] = 0
        self._changed_at[rows] = 0
        self.checkpoint_at[rows] = now
        return snapshots

    def confirm(self) -> None:
        """All snapshots have arrived."""
        self._saving_since[: len(self._names)] = CLEAN

    def abandon(self) -> None:
        """Snapshots may not have arrived: their rows are dirty again, and due."""
        size = len(self._names)
        rows = np.flatnonzero(self._saving_since[:size] != CLEAN)
        self._dirty_since[rows] = np.minimum(self._dirty_since[rows], self._saving_since[rows])
        self._saving_since[rows] = CLEAN
        self._windows[rows] = self._checkpoint_windows

    def _snapshots(self, rows: Int64Array) -> list[ModelCheckpoint]:
        return [
            ModelCheckpoint(
                owner=self.owner,
                entity=self._names[row],
                definition=self.definition,
                run=int(self._run[row]),
                last_end=int(self._last_end[row]),
                used_at=int(self.used_at[row]),
                state=state,
            )
            for row, state in zip(rows.tolist(), self._forest.dump(rows), strict=True)
        ]

    def load(self, snapshots: Sequence[ModelCheckpoint], most: int | None = None) -> list[str]:
        """Take models over from their checkpoints, the ``most`` last used ones into memory.

        Those of the detector as it was before a change of its model, or of what that learns, are left out: the
        entities of these are returned.
        """
        usable: list[ModelCheckpoint] = []
        others: list[str] = []
        for snapshot in snapshots:
            if snapshot.definition == self.definition and self._forest.reads(snapshot.state):
                usable.append(snapshot)
            else:
                others.append(snapshot.entity)
        room = len(usable) if most is None else max(0, most)
        if room < len(usable):
            usable.sort(key=lambda snapshot: -snapshot.used_at)
            self._to_spill(usable[room:])
        now = usable[:room]
        self._put(self._rows_for([snapshot.entity for snapshot in now]), now)
        return others

    def _put(self, rows: Int64Array, snapshots: Sequence[ModelCheckpoint]) -> None:
        if not snapshots:
            return
        self._forest.load(rows, [snapshot.state for snapshot in snapshots])
        self._run[rows] = [snapshot.run for snapshot in snapshots]
        self._last_end[rows] = [snapshot.last_end for snapshot in snapshots]
        self.used_at[rows] = self.checkpoint_at[rows] = [snapshot.used_at for snapshot in snapshots]

    # -- models out of memory ---------------------------------------------------------------------------------

    def evict(self, rows: Int64Array) -> None:
        """Take models out of memory, but for those that their last confirmed checkpoints do not contain whole."""
        rows = rows[(self._dirty_since[rows] == CLEAN) & (self._saving_since[rows] == CLEAN)]
        if rows.size:
            self._most_rows_evicted = max(self._most_rows_evicted, int(self._forest.seen(rows).max()))
            self._to_spill(self._snapshots(rows))
            self._forget_rows(rows)

    def expire(self, until: int) -> list[str]:
        """Forget the models of entities that were away for more than the lifetime at ``until``; which ones."""
        limit = until - self.lifetime_ms
        rows = self.rows()
        last = self._last_end[rows]
        rows = rows[(last != _NEVER) & (last < limit)]
        gone = [self._names[row] for row in rows.tolist()]
        self._forget_rows(rows)
        return gone if self._spill is None else gone + self._spill.expire(limit)

    def _forget_rows(self, rows: Int64Array) -> None:
        self._forest.reset(rows)
        for name in _FILLS:
            getattr(self, name)[rows] = _FILLS[name]
        for row in rows.tolist():
            del self._row_of[self._names[row]]
        self._free += rows.tolist()

    def _to_spill(self, snapshots: Sequence[ModelCheckpoint]) -> None:
        if self._spill is None:
            self._spill = Spill()
        self._spill.put(snapshots)

    def _bring_back(self, entities: Sequence[str]) -> None:
        assert self._spill is not None
        snapshots = self._spill.take(entities)
        self._put(np.array([self._row_of[snapshot.entity] for snapshot in snapshots], np.int64), snapshots)

    # -- rows -------------------------------------------------------------------------------------------------

    def _rows_for(self, entities: Sequence[str]) -> Int64Array:
        known, spill = self._row_of, self._spill
        rows = np.empty(len(entities), np.int64)
        back: list[str] = []
        for index, entity in enumerate(entities):
            row = known.get(entity)
            if row is None:
                row = known[entity] = self._new_row(entity)
                if spill is not None and entity in spill:
                    back.append(entity)
            rows[index] = row
        if back:
            self._bring_back(back)
        return rows

    def _new_row(self, entity: str) -> int:
        if self._free:
            row = self._free.pop()
            self._names[row] = entity
        else:
            row = len(self._names)
            self._names.append(entity)
            if row >= self._capacity:
                self._grow()
        # Staggered: models that appear together are not all due for a checkpoint together.
        self._windows[row] = row % self._checkpoint_windows
        return row

    def _grow(self) -> None:
        capacity = self._capacity * 2
        self._forest.grow(capacity)
        for name, fill in _FILLS.items():
            array = getattr(self, name)
            grown = np.full(capacity, fill, np.int64)
            grown[: self._capacity] = array
            setattr(self, name, grown)
        self._capacity = capacity


def least_recently_used(models: Sequence[DetectorModels], most: int) -> list[Int64Array]:
    """The rows to take out of memory so that ``most`` models are left of all of these together: of each, which."""
    over = sum(map(len, models)) - most
    if over <= 0:
        return [np.empty(0, np.int64) for _ in models]
    rows = [each.rows() for each in models]
    used = np.concatenate([each.used_at[mine] for each, mine in zip(models, rows, strict=True)])
    gone = np.zeros(len(used), bool)
    gone[np.argsort(used, kind="stable")[:over]] = True
    parts = np.split(gone, np.cumsum([len(each) for each in rows])[:-1])
    return [mine[part] for mine, part in zip(rows, parts, strict=True)]
