"""How many entities an analysis may have: each is a model in memory, and a topic may hold any number of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from streams.features.columns import Column, NumberColumn
from streams.score.merge import FinalWindow


class EntityLimit:
    """Lets in the first ``most`` entities of one model partition; of those that come in one window the most active.

    Activity is the number of values that a window counts, where the features need such a count; else the names
    decide. ``left_out`` counts the rows of entities that were not let in. The same windows in the same order always
    lead to the same entities, however they are cut into calls.
    """

    def __init__(self, columns: Sequence[Column], most: int) -> None:
        self._columns = columns
        self._most = most
        self._known: set[str] = set()
        self._count = next(
            (
                place
                for place, column in enumerate(columns)
                if isinstance(column, NumberColumn) and column.kind == "count"
            ),
            None,
        )
        self.left_out = 0

    def admit(self, window: FinalWindow) -> FinalWindow:
        """The window with the entities that are let in."""
        fresh = [row for row, entity in enumerate(window.entities) if entity not in self._known]
        room = self._most - len(self._known)
        if len(fresh) > room:
            counts = [0.0] * len(window.entities) if self._count is None else window.columns[self._count].tolist()
            fresh.sort(key=lambda row: (-counts[row], window.entities[row]))
        self._known.update(window.entities[row] for row in fresh[:room])
        refused = set(fresh[room:])
        if not refused:
            return window
        self.left_out += len(refused)
        kept = np.array([row for row in range(len(window.entities)) if row not in refused], np.int64)
        return FinalWindow(
            window.end,
            window.first_offset,
            [window.entities[row] for row in kept.tolist()],
            [column.taken(values, kept) for column, values in zip(self._columns, window.columns, strict=True)],
        )
