"""The accumulators of windows: what is kept of the records until a window is final, and how it is merged.

A feature needs one or two columns; features that need the same column share it. The accumulators of a column have
one row an entity. What they hold after the same records in the same order is the same, bit for bit, however the
records were cut into batches and whenever they went to bytes and back: replays rely on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from schemas.query import Query

Float64Array = npt.NDArray[np.float64]
Int64Array = npt.NDArray[np.int64]

Kind = Literal["count", "sum", "min", "max"]

_UFUNCS: dict[Kind, np.ufunc] = {"count": np.add, "sum": np.add, "min": np.minimum, "max": np.maximum}

# -0.0 is the one number that changes no sum and yet is the sum of nothing: what is still -0.0 had no record. Without
# it, an entity without records could not be told from one whose records lack the field.
_IDENTITIES: dict[Kind, float] = {"count": -0.0, "sum": -0.0, "min": np.inf, "max": -np.inf}


@dataclass(frozen=True)
class Input:
    """One number a record, from the values of ``path``: NaN where there is none.

    ``reads`` says which: the value itself (``number``), how many values there are (``presence``), or a number that
    stands for the value (``hash``). Records that ``filter`` does not match count as if they had no value.
    """

    path: str
    reads: Literal["number", "presence", "hash"] = "number"
    filter: Query | None = None


class Column(Protocol):
    """One accumulator over an input. ``Accumulators`` below stands for whatever ``empty`` makes."""

    @property
    def input(self) -> Input:
        """What is accumulated."""

    def empty(self, size: int) -> Any:
        """Accumulators of ``size`` rows without any record."""

    def extended(self, accumulators: Any, size: int) -> Any:
        """The accumulators with empty rows behind, ``size`` in all. The ones given must not be used any more."""

    def taken(self, accumulators: Any, rows: Int64Array) -> Any:
        """The rows with these numbers, in this order."""

    def fold(self, accumulators: Any, rows: Int64Array, values: Float64Array) -> None:
        """Take values into the accumulators at ``rows``, one after the other.

        NaN is no value, but the row has had a record then.
        """

    def merged(self, size: int, parts: Sequence[tuple[Int64Array, Any]]) -> Any:
        """Accumulators of ``size`` rows from those of several sources, each with the number of each of its rows."""

    def to_bytes(self, accumulators: Any) -> bytes:
        """The rows, one behind the other: bytes of several accumulators may be joined."""

    def from_bytes(self, data: bytes) -> Any:
        """The inverse of ``to_bytes``, not to be folded into."""

    def sizes(self, data: bytes) -> Int64Array:
        """How many bytes each row takes."""


@dataclass(frozen=True)
class NumberColumn:
    """A running number: float64 arrays."""

    kind: Kind
    input: Input

    def empty(self, size: int) -> Float64Array:
        """As ``Column``.

        >>> NumberColumn("max", Input("cpu")).empty(2)
        array([-inf, -inf])
        """
        return np.full(size, _IDENTITIES[self.kind])

    def extended(self, accumulators: Float64Array, size: int) -> Float64Array:
        """As ``Column``."""
        return np.concatenate([accumulators, self.empty(size - len(accumulators))])

    def taken(self, accumulators: Float64Array, rows: Int64Array) -> Float64Array:
        """As ``Column``."""
        return accumulators[rows]

    def fold(self, accumulators: Float64Array, rows: Int64Array, values: Float64Array) -> None:
        """As ``Column``: straight into the running total. Records without a value sum up and count to 0.

        Adding up a batch first and the total then would make a sum of floats depend on how the records were cut
        into batches, and a replay would not come to the same results.

        >>> column = NumberColumn("sum", Input("cpu"))
        >>> total = column.empty(3)
        >>> column.fold(total, np.array([0, 1, 0]), np.array([1.0, np.nan, 2.0]))
        >>> total
        array([ 3.,  0., -0.])
        """
        absent = np.isnan(values)
        if self.kind == "count" and self.input.reads != "presence":
            np.add.at(accumulators, rows, np.where(absent, 0.0, 1.0))
            return
        # Adding 0.0 turns -0.0 into 0.0, since -0.0 means that there was no record.
        values = values + 0.0
        if absent.any():
            if self.kind in ("count", "sum"):
                values[absent] = 0.0
            else:
                rows, values = rows[~absent], values[~absent]
        with np.errstate(over="ignore", invalid="ignore"):
            _UFUNCS[self.kind].at(accumulators, rows, values)

    def merged(self, size: int, parts: Sequence[tuple[Int64Array, Float64Array]]) -> Float64Array:
        """As ``Column``."""
        merged = self.empty(size)
        with np.errstate(over="ignore", invalid="ignore"):
            for rows, part in parts:
                merged[rows] = _UFUNCS[self.kind](merged[rows], part)
        return merged

    def to_bytes(self, accumulators: Float64Array) -> bytes:
        """Raw little-endian float64."""
        return accumulators.astype("<f8", copy=False).tobytes()

    def from_bytes(self, data: bytes) -> Float64Array:
        """As ``Column``."""
        return np.frombuffer(data, "<f8")

    def sizes(self, data: bytes) -> Int64Array:
        """As ``Column``."""
        return np.full(len(data) // 8, 8)

    @staticmethod
    def known(accumulators: Float64Array) -> Float64Array:
        """What the rows say: NaN without a record, without a value for a minimum or maximum, or beyond a double.

        >>> NumberColumn.known(np.array([1.5, -0.0, 0.0, np.inf]))
        array([1.5, nan, 0. , nan])
        """
        untouched = (accumulators == 0) & np.signbit(accumulators)
        found: Float64Array = np.where(untouched | ~np.isfinite(accumulators), np.nan, accumulators)
        return found
