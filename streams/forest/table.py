"""Models as rows of arrays: growing, resetting, dumping and loading them is the same for all kinds."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import fields
from typing import ClassVar, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from streams.forest.arrays import BoolArray, Float64Array, Int64Array
from streams.forest.bank import Explanation, ForestBank, Steps
from streams.forest.packing import Array, pack, unpack
from streams.forest.record import WrongRecord, body, header
from streams.forest.spec import ForestSpec
from streams.forest.suppression import ignored


class Table:
    """Base of the dataclasses that hold the arrays of many models, one model a row.

    ``count`` is the number of events that each model has learned.
    """

    ALIKE: ClassVar[tuple[str, ...]] = ()
    """Names of the arrays in which neighbours are mostly alike (packing.py), and"""
    STEADY: ClassVar[tuple[str, ...]] = ()
    """of those in which they mostly differ by the same step."""

    count: Int64Array

    def arrays(self) -> dict[str, npt.NDArray[np.generic]]:
        """All arrays by name, always in the same order."""
        return {field.name: getattr(self, field.name) for field in fields(self)}  # type: ignore[arg-type]

    def parts(self) -> tuple[list[Array], list[Array], list[Array]]:
        """The arrays that are packed as they lie, those of which neighbours are mostly alike, and the steady ones."""
        arrays = self.arrays()
        plain = [array for name, array in arrays.items() if name not in self.ALIKE + self.STEADY]
        return plain, [arrays[name] for name in self.ALIKE], [arrays[name] for name in self.STEADY]

    def put(self, rows: Int64Array | slice, other: Table) -> None:
        """Replace rows by those of ``other``."""
        theirs = other.arrays()
        for name, array in self.arrays().items():
            array[rows] = theirs[name]

    def row_bytes(self) -> int:
        """Memory that a row takes."""
        return sum(array.itemsize * int(np.prod(array.shape[1:])) for array in self.arrays().values())


T = TypeVar("T", bound=Table)


class TableBank(ForestBank, Generic[T]):
    """A bank whose models are a table."""

    def __init__(self, spec: ForestSpec, capacity: int, fingerprint: bytes) -> None:
        self.spec = spec
        self.capacity = capacity
        self._header = header(spec, fingerprint)
        self._models = self._unseen(capacity)

    @abstractmethod
    def _unseen(self, capacity: int) -> T:
        """A table of models that have seen nothing."""

    @property
    def bytes_per_model(self) -> int:
        return self._models.row_bytes()

    def grow(self, capacity: int) -> None:
        grown = self._unseen(capacity)
        grown.put(slice(self.capacity), self._models)
        self._models, self.capacity = grown, capacity

    def reset(self, rows: Int64Array) -> None:
        self._models.put(rows, self._unseen(1))

    def seen(self, rows: Int64Array) -> Int64Array:
        return self._models.count[rows]

    def dump(self, rows: Int64Array) -> list[bytes]:
        return [self._header + record for record in pack(*self._models.parts(), rows)]

    def reads(self, state: bytes) -> bool:
        return state.startswith(self._header)

    def load(self, rows: Int64Array, states: Sequence[bytes]) -> None:
        loaded = self._unseen(len(states))
        if not unpack([body(state, self._header) for state in states], *loaded.parts()):
            raise WrongRecord("model record was cut off or damaged")
        self._models.put(rows, loaded)

    def _ignored(self, steps: Steps, event: int, actual: Float64Array, explanation: Explanation) -> bool:
        """Whether the rules ignore an anomaly; if not, its explanation is added to the steps."""
        if ignored(self.spec.rules, explanation.attribution, actual, explanation.expected):
            return True
        steps.explanations[event] = explanation
        return False


def no_steps(values: Float64Array, *, imputes: bool) -> Steps:
    """The outcome of events that are neither scored nor learned. ``imputes``: values may be filled in."""
    n = len(values)
    imputed: BoolArray = np.zeros(values.shape, np.bool_)
    values = values.copy() if imputes else values
    score, threshold, grade, confidence = np.zeros((4, n))
    learning, incident = np.zeros(n, np.bool_), np.zeros((n, 3), np.int64)
    expected, spread = np.full((2, *values.shape), np.nan)
    return Steps(score, threshold, grade, confidence, imputed, values, incident, learning, expected, spread)


def grades(severity: Float64Array, raised: BoolArray) -> Float64Array:
    """The grade of raised rows: 0.1 at the threshold, 1 at twice its distance from what is usual.

    >>> grades(np.array([1.0, 1.5, 3.0]), np.array([True, True, False])).tolist()
    [0.1, 0.55, 0.0]
    """
    return np.where(raised, np.minimum(1.0, 0.1 + 0.9 * (severity - 1)), 0.0)
