"""The accumulators of windows: what is kept of the records until a window is final, and how it is merged.

A feature needs one or two columns; features that need the same column share it. All of them are arrays with one
place an entity.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from schemas.query import Query

Float64Array = npt.NDArray[np.float64]
Int64Array = npt.NDArray[np.int64]

Kind = Literal["count", "sum", "min", "max"]

_UFUNCS: dict[Kind, np.ufunc] = {"count": np.add, "sum": np.add, "min": np.minimum, "max": np.maximum}
_IDENTITIES: dict[Kind, float] = {"count": 0.0, "sum": 0.0, "min": np.inf, "max": -np.inf}


@dataclass(frozen=True)
class Input:
    """One number a record: the value of ``path``, or 1 for any value there (``presence``).

    Records that ``filter`` does not match count as if they had no value.
    """

    path: str
    presence: bool = False
    filter: Query | None = None


@dataclass(frozen=True)
class Column:
    """One accumulator over an input."""

    kind: Kind
    input: Input

    def empty(self, size: int) -> Float64Array:
        """Accumulators of ``size`` entities without any record.

        >>> Column("max", Input("cpu")).empty(2)
        array([-inf, -inf])
        """
        return np.full(size, _IDENTITIES[self.kind])

    def fold(self, accumulators: Float64Array, places: Int64Array, values: Float64Array) -> None:
        """Take values into the accumulators at ``places``, one after the other; NaN is no value.

        In the order of the records and straight into the running total: adding up a batch first and the total
        then would make a sum of floats depend on how the records were cut into batches, and a replay would not
        come to the same results.

        >>> column = Column("sum", Input("cpu"))
        >>> total = column.empty(2)
        >>> column.fold(total, np.array([0, 1, 0]), np.array([1.0, np.nan, 2.0]))
        >>> total
        array([3., 0.])
        """
        known = ~np.isnan(values)
        if not known.all():
            places, values = places[known], values[known]
        if self.kind == "count" and not self.input.presence:
            values = np.ones(len(values))
        _UFUNCS[self.kind].at(accumulators, places, values)

    def merge(self, one: Float64Array, other: Float64Array) -> Float64Array:
        """The accumulators of two sources as one."""
        merged: Float64Array = _UFUNCS[self.kind](one, other)
        return merged

    @staticmethod
    def to_bytes(accumulators: Float64Array) -> bytes:
        """Raw little-endian float64."""
        return accumulators.astype("<f8", copy=False).tobytes()

    @staticmethod
    def from_bytes(data: bytes) -> Float64Array:
        """The inverse of ``to_bytes``."""
        return np.frombuffer(data, "<f8")
