"""How many distinct values: one HyperLogLog sketch an entity (Flajolet et al. 2007; Apache DataSketches)."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from datasketches import HLL_4, hll_sketch, hll_union

from streams.features.columns import Input

Float64Array = npt.NDArray[np.float64]
Int64Array = npt.NDArray[np.int64]
Sketches = list["hll_sketch | None"]

_LOG2_REGISTERS = 12
_LENGTH = struct.Struct("<I")


@dataclass(frozen=True)
class DistinctColumn:
    """Sketches of hashes; None for a row without a record.

    The relative standard error of the estimate is 1.3 % from one source and 1.6 % merged from several; up to about
    300 values it is exact for practical purposes. A row takes some bytes for each value, at most 2.1 KB.
    """

    input: Input

    def empty(self, size: int) -> Sketches:
        """As ``Column``."""
        return [None] * size

    def extended(self, accumulators: Sketches, size: int) -> Sketches:
        """As ``Column``."""
        return accumulators + self.empty(size - len(accumulators))

    def taken(self, accumulators: Sketches, rows: Int64Array) -> Sketches:
        """As ``Column``."""
        return [accumulators[row] for row in rows.tolist()]

    def fold(self, accumulators: Sketches, rows: Int64Array, values: Float64Array) -> None:
        """As ``Column``."""
        for row, value in zip(rows.tolist(), values.tolist(), strict=True):
            sketch = accumulators[row]
            if sketch is None:
                sketch = accumulators[row] = hll_sketch(_LOG2_REGISTERS, HLL_4)
            if value == value:
                sketch.update(int(value))

    def merged(self, size: int, parts: Sequence[tuple[Int64Array, Sketches]]) -> Sketches:
        """As ``Column``."""
        merged = self.empty(size)
        for rows, part in parts:
            for row, sketch in zip(rows.tolist(), part, strict=True):
                known = merged[row]
                if known is None or sketch is None:
                    merged[row] = sketch if known is None else known
                else:
                    union = hll_union(_LOG2_REGISTERS)
                    union.update(known)
                    union.update(sketch)
                    merged[row] = union.get_result(HLL_4)
        return merged

    def to_bytes(self, accumulators: Sketches) -> bytes:
        """Each row's length and sketch."""
        blobs = [b"" if sketch is None else sketch.serialize_compact() for sketch in accumulators]
        return b"".join([part for blob in blobs for part in (_LENGTH.pack(len(blob)), blob)])

    def from_bytes(self, data: bytes) -> Sketches:
        """As ``Column``."""
        sketches: Sketches = []
        at = 0
        for size in self.sizes(data).tolist():
            blob = data[at + _LENGTH.size : at + size]
            sketches.append(hll_sketch.deserialize(blob) if blob else None)
            at += size
        return sketches

    def sizes(self, data: bytes) -> Int64Array:
        """As ``Column``."""
        sizes = []
        at = 0
        while at < len(data):
            sizes.append(_LENGTH.size + _LENGTH.unpack_from(data, at)[0])
            at += sizes[-1]
        return np.array(sizes, np.int64)

    @staticmethod
    def estimates(accumulators: Sketches) -> Float64Array:
        """The number of distinct values of each row, NaN where there was no record.

        >>> column = DistinctColumn(Input("user", reads="hash"))
        >>> sketches = column.empty(2)
        >>> column.fold(sketches, np.array([0, 0, 0]), np.array([7.0, 8.0, 7.0]))
        >>> column.estimates(sketches)
        array([ 2., nan])
        """
        return np.array([np.nan if sketch is None else round(sketch.get_estimate()) for sketch in accumulators])
