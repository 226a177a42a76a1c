"""Entities as small numbers: each combination of category values gets a code when it is first seen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from schemas.entity import entity_key
from streams.plan import Plan

Int64Array = npt.NDArray[np.int64]

NO_ENTITY = -1
"""The code of a record without one of the category fields: it belongs to no entity."""


class _Codes(dict[Any, int]):
    """Raw category values (one value, or a tuple of them) to codes; unknown ones are added when looked up."""

    def __init__(self, table: EntityTable) -> None:
        super().__init__()
        self._table = table

    def __missing__(self, value: Any) -> int:
        code = self._table.code_of(value if isinstance(value, tuple) else (value,))
        self[value] = code
        return code


class EntityTable:
    """The entities of one run on this worker, shared by its sources.

    ``keys`` and ``partitions`` give the entity key and the model partition of each code.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._single = len(plan.categories) == 1
        self._by_key: dict[str, int] = {}
        self._codes = _Codes(self)
        self.keys: list[str] = []
        self._partitions = np.zeros(64, np.int64)
        if not plan.categories:
            self.code(entity_key(()))

    def __len__(self) -> int:
        return len(self.keys)

    def code_of(self, values: tuple[Any, ...]) -> int:
        """The code of category values as they stand in a record; ``NO_ENTITY`` if one is missing."""
        if any(value is None for value in values):
            return NO_ENTITY
        return self.code(entity_key(tuple(category_text(value) for value in values)))

    def code(self, key: str) -> int:
        """The code of an entity key."""
        code = self._by_key.get(key)
        if code is None:
            code = self._by_key[key] = len(self.keys)
            self.keys.append(key)
            if code >= len(self._partitions):
                self._partitions = np.concatenate([self._partitions, np.zeros_like(self._partitions)])
            self._partitions[code] = self._plan.model_partition(key)
        return code

    def codes(self, columns: Sequence[Sequence[Any]]) -> Int64Array:
        """The codes of records, from one sequence of raw values a category field."""
        values = columns[0] if self._single else zip(*columns, strict=True)
        return np.fromiter(map(self._codes.__getitem__, values), np.int64)

    def partitions(self, codes: Int64Array) -> Int64Array:
        """The model partition of each code."""
        return self._partitions[codes]


def category_text(value: Any) -> str:
    """A category value as text: strings as they are, whole numbers and booleans as in JSON.

    >>> category_text(True), category_text(404), category_text("eu")
    ('true', '404', 'eu')
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
