"""Rows of arrays to bytes and back.

Most arrays are copied as they lie. In some, neighbours are mostly alike (all leaves below a node at which a walk
ends share one value): of those only the places at which a new value begins are kept, as bits, and these values. In
others, neighbours mostly differ by the same step (the times of rows): of those the steps are kept in that way.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from streams.forest.arrays import Int64Array, UInt8Array

Array = npt.NDArray[np.generic]

AT_ONCE = 256
"""So many records at a time, temporary arrays stay in the processor's cache."""


def pack(plain: Sequence[Array], alike: Sequence[Array], steady: Sequence[Array], rows: Int64Array) -> list[bytes]:
    """One record for each of ``rows`` of the arrays; ``steady`` ones hold whole numbers."""
    records: list[bytes] = []
    for start in range(0, len(rows), AT_ONCE):
        some = rows[start : start + AT_ONCE]
        fixed = np.concatenate([_bytes_of(array[some]) for array in plain], axis=1)
        tails = [_pack_alike(array[some]) for array in alike] + [_pack_alike(_steps(array[some])) for array in steady]
        records += [b"".join((record.tobytes(), *rest)) for record, *rest in zip(fixed, *tails, strict=True)]
    return records


def unpack(
    records: Sequence[memoryview], plain: Sequence[Array], alike: Sequence[Array], steady: Sequence[Array]
) -> bool:
    """Fill the arrays, one row a record. False if a record does not fit them exactly."""
    width = sum(_width(array) for array in plain)
    bits = [-(-array[0].size // 8) for array in (*alike, *steady)] if len(records) else []
    for start in range(0, len(records), AT_ONCE):
        some = records[start : start + AT_ONCE]
        part = slice(start, start + len(some))
        if any(len(record) < width + sum(bits) for record in some):
            return False
        table = np.frombuffer(b"".join(record[:width] for record in some), np.uint8).reshape(len(some), width)
        place = 0
        for array in plain:
            own = np.ascontiguousarray(table[:, place : place + _width(array)])
            array[part] = own.view(array.dtype).reshape(array[part].shape)
            place += _width(array)
        rest = [record[width:] for record in some]
        for array, count in zip((*alike, *steady), bits, strict=True):
            left = _unpack_alike(rest, count, array[part])
            if left is None:
                return False
            rest = left
        for array in steady:
            array[part] = np.cumsum(array[part], axis=1, dtype=array.dtype)
        if any(len(record) for record in rest):
            return False
    return True


def _width(array: Array) -> int:
    return array.itemsize * int(np.prod(array.shape[1:]))


def _bytes_of(array: Array) -> UInt8Array:
    flat = np.ascontiguousarray(array).reshape(len(array), -1)
    return flat.view(np.uint8) if flat.size else np.empty((len(array), 0), np.uint8)


def _steps(array: Array) -> Array:
    # Beyond the largest number they go on from 0, as does their sum.
    steps: Array = np.diff(array, axis=1, prepend=array[:, :1] * 0)
    return steps


def _pack_alike(array: Array) -> list[bytes]:
    flat = array.reshape(len(array), -1)
    begins = np.ones(flat.shape, np.bool_)
    np.not_equal(flat[:, 1:], flat[:, :-1], out=begins[:, 1:])
    bits = np.packbits(begins, axis=1)
    values = flat[begins].tobytes()
    ends = np.cumsum(begins.sum(axis=1)) * flat.itemsize
    starts = np.append(0, ends[:-1])
    return [
        bit.tobytes() + values[start:end] for bit, start, end in zip(bits, starts.tolist(), ends.tolist(), strict=True)
    ]


def _unpack_alike(records: Sequence[memoryview], bits: int, array: Array) -> list[memoryview] | None:
    """Fill ``array`` from the front of the records; what is left of them, or None if they are too short."""
    flat = array.reshape(len(array), -1)
    size = flat.shape[1]
    packed = np.frombuffer(b"".join(record[:bits] for record in records), np.uint8).reshape(len(records), bits)
    begins = np.unpackbits(packed, axis=1, count=size).view(np.bool_)
    lengths = (begins.sum(axis=1) * flat.itemsize).tolist()
    if not begins[:, :1].all() or any(
        len(record) < bits + length for record, length in zip(records, lengths, strict=True)
    ):
        return None
    if not size:
        return list(records)
    values = np.frombuffer(
        b"".join(record[bits : bits + length] for record, length in zip(records, lengths, strict=True)), flat.dtype
    )
    flat[:] = values[np.cumsum(begins).reshape(begins.shape) - 1]
    return [record[bits + length :] for record, length in zip(records, lengths, strict=True)]
