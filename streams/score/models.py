"""The models of one detector on one model partition: which entity is which row, which are due for a checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from schemas.checkpoint import ModelCheckpoint
from streams.forest import ForestSpec, Steps, open_bank

Int64Array = npt.NDArray[np.int64]
Float64Array = npt.NDArray[np.float64]

CLEAN = np.iinfo(np.int64).max
"""``dirty_since`` of a model that its last checkpoint contains whole."""

_NEVER = np.iinfo(np.int64).min


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
    """

    def __init__(self, owner: str, spec: ForestSpec, *, checkpoint_windows: int, capacity: int = 64) -> None:
        self.owner = owner
        self.entities: list[str] = []
        self._row_of: dict[str, int] = {}
        self._checkpoint_windows = checkpoint_windows
        self._forest = open_bank(spec, capacity)
        self._capacity = capacity
        self._run = np.full(capacity, -1, np.int64)
        self._last_end = np.full(capacity, _NEVER, np.int64)
        self._dirty_since = np.full(capacity, CLEAN, np.int64)
        self._windows = np.zeros(capacity, np.int64)
        self._changed_at = np.zeros(capacity, np.int64)
        self.used_at = np.zeros(capacity, np.int64)
        self.checkpoint_at = np.zeros(capacity, np.int64)

    def __len__(self) -> int:
        return len(self.entities)

    @property
    def bytes_per_model(self) -> int:
        """Memory of one model in the forest's arrays."""
        return self._forest.bytes_per_model

    def rows(self) -> Int64Array:
        """The rows in use."""
        return np.arange(len(self.entities), dtype=np.int64)

    def most_rows_seen(self) -> int:
        """How many windows the most advanced model has learned from."""
        return int(self._forest.seen(self.rows()).max()) if self.entities else 0

    def rows_seen(self) -> Int64Array:
        """How many windows each model has learned from, in the order of ``entities``."""
        return self._forest.seen(self.rows())

    def seen(self, entity: str) -> int:
        """How many windows the entity's model has learned from; 0 for an unknown entity."""
        row = self._row_of.get(entity)
        return 0 if row is None else int(self._forest.seen(np.array([row], np.int64))[0])

    def oldest_end(self, run: int) -> int | None:
        """The end of the last window of the model that is furthest behind in this run, None without any."""
        size = len(self.entities)
        ends = self._last_end[:size][self._run[:size] == run]
        return int(ends.min()) if ends.size else None

    def score(self, run: int, events: Events, now: int, since: int | None = None) -> Scored:
        """Score the events and learn from them, in the order given.

        ``since``: where the cold start of the run begins. Windows after it that a model knows are repeats in this
        run, too.
        """
        rows = self._rows_for(events.entities)
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

    def safe_offset(self, position: int) -> int:
        """The offset from which the partials would have to be read again to rebuild what no checkpoint contains."""
        used = self._dirty_since[: len(self.entities)]
        return min(position, int(used.min())) if used.size else position

    def due(self, now: int, interval_ms: int) -> Int64Array:
        """Rows to checkpoint: changed by enough windows, or long ago."""
        size = len(self.entities)
        changed = self._dirty_since[:size] != CLEAN
        many = self._windows[:size] >= self._checkpoint_windows
        old = self._changed_at[:size] + interval_ms <= now
        return np.flatnonzero(changed & (many | old)).astype(np.int64)

    def dirty(self) -> Int64Array:
        """Rows that their last checkpoint does not contain whole."""
        return np.flatnonzero(self._dirty_since[: len(self.entities)] != CLEAN).astype(np.int64)

    def checkpoint(self, rows: Int64Array, position: int, now: int) -> list[ModelCheckpoint]:
        """Snapshots of the rows, which count as clean from now on: the caller confirms them before it commits."""
        if not rows.size:
            return []
        snapshots = [
            ModelCheckpoint(
                owner=self.owner,
                entity=self.entities[row],
                run=int(self._run[row]),
                last_end=int(self._last_end[row]),
                partial_offset=position,
                used_at=int(self.used_at[row]),
                state=state,
            )
            for row, state in zip(rows.tolist(), self._forest.dump(rows), strict=True)
        ]
        self._dirty_since[rows] = CLEAN
        self._windows[rows] = 0
        self._changed_at[rows] = 0
        self.checkpoint_at[rows] = now
        return snapshots

    def load(self, snapshots: Sequence[ModelCheckpoint]) -> None:
        """Take models over from their checkpoints. Raises what ``ForestBank.load`` raises."""
        if not snapshots:
            return
        rows = self._rows_for([snapshot.entity for snapshot in snapshots])
        self._forest.load(rows, [snapshot.state for snapshot in snapshots])
        self._run[rows] = [snapshot.run for snapshot in snapshots]
        self._last_end[rows] = [snapshot.last_end for snapshot in snapshots]
        self.used_at[rows] = self.checkpoint_at[rows] = [snapshot.used_at for snapshot in snapshots]

    def _rows_for(self, entities: Sequence[str]) -> Int64Array:
        known = self._row_of
        rows = np.empty(len(entities), np.int64)
        for index, entity in enumerate(entities):
            row = known.get(entity)
            if row is None:
                row = known[entity] = len(self.entities)
                self.entities.append(entity)
                if row >= self._capacity:
                    self._grow()
                # Staggered: models that appear together are not all due for a checkpoint together.
                self._windows[row] = row % self._checkpoint_windows
            rows[index] = row
        return rows

    def _grow(self) -> None:
        capacity = self._capacity * 2
        self._forest.grow(capacity)
        for name in ("_run", "_last_end", "_dirty_since", "_windows", "_changed_at", "used_at", "checkpoint_at"):
            array = getattr(self, name)
            fill = {"_run": -1, "_last_end": _NEVER, "_dirty_since": CLEAN}.get(name, 0)
            grown = np.full(capacity, fill, np.int64)
            grown[: self._capacity] = array
            setattr(self, name, grown)
        self._capacity = capacity
