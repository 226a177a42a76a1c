"""Entities as small numbers: each combination of category values gets a code when it is first seen."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from schemas.entity import entity_key, model_key
from streams.features.plan import Plan
from streams.formats.values import to_category
from streams.kafka.murmur2 import partitions_of

Int64Array = npt.NDArray[np.int64]

NO_ENTITY = -1
"""The code of a record without one of the category fields: it belongs to no entity."""

MOST_ENTITIES = 262_144
"""Entities that a run on one worker remembers, unless its open windows have more; about 100 MB."""


class Entities(dict[Any, int]):
    """One generation of entities: raw category values (one, or a tuple of them) to codes, growing when looked up.

    ``names`` has the entity key of each code. ``carried`` counts those that open windows brought along. Looking up
    raises ``Unusable`` for a value that no entity has.
    """

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self._plan = plan
        self._by_key: dict[str, int] = {}
        self._partitions = np.empty(0, np.int64)
        self.names: list[str] = []
        self.carried = 0

    def __missing__(self, value: Any) -> int:
        values = value if type(value) is tuple else (value,)
        if None in values:
            return NO_ENTITY
        # A number and its text are one entity.
        key = entity_key(tuple(str(to_category(each)) for each in values))
        code = self[value] = self._code(key)
        return code

    def _code(self, key: str) -> int:
        names = self.names
        code = self._by_key.setdefault(key, len(names))
        if code == len(names):
            names.append(key)
        return code

    def carry(self, keys: Iterable[str]) -> Int64Array:
        """The codes of entities that are known from elsewhere: an older generation, or a checkpoint."""
        codes = np.fromiter(map(self._code, keys), np.int64)
        self.carried += len(codes)
        return codes

    def partitions(self, codes: Int64Array) -> Int64Array:
        """The model partition of each code."""
        known = len(self._partitions)
        if known < len(self.names):
            # Many at a time, when windows close: one by one they would cost more than all else of a new entity.
            fresh = [model_key(self._plan.owner, key).encode() for key in self.names[known:]]
            found = partitions_of(fresh, self._plan.partitions)
            self._partitions = np.concatenate([self._partitions, found])
        return self._partitions[codes]


class EntityTable:
    """The entities of one run on this worker, shared by its sources.

    ``current`` is the generation that records are read with. When it has more than ``limit`` entities and twice as
    many as open windows brought along, a new one begins; what open windows still need moves there (``RunWindows``),
    the rest is forgotten with the old generation when no batch and no window holds it any more.
    """

    def __init__(self, plan: Plan, limit: int = MOST_ENTITIES) -> None:
        self._plan = plan
        self._limit = limit
        self.current = Entities(plan)

    def renew(self) -> None:
        """Begin a new generation if the current one has too many entities; to be called before each fetch."""
        # Open windows may need more than the limit: then to begin anew with every fetch would help nobody.
        if len(self.current.names) > max(self._limit, 2 * self.current.carried):
            self.current = Entities(self._plan)

    def codes(self, columns: Sequence[Sequence[Any]], size: int) -> tuple[Entities, Int64Array]:
        """The codes of ``size`` records, from one sequence of raw values a category field, and whose codes they are.

        Raises ``Unusable`` for a value that no entity has.
        """
        entities = self.current
        if not columns:
            return entities, np.full(size, entities[()], np.int64)
        values = columns[0] if len(columns) == 1 else zip(*columns, strict=True)
        return entities, np.fromiter(map(entities.__getitem__, values), np.int64, size)
