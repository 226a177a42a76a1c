"""The hash by which Java clients choose a record's partition (Apache Kafka, ``Utils.murmur2``).

A model's partition follows from its key alone, so that any client finds it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

_SEED = 0x9747B28C
_M = 0x5BD1E995
_MASK = 0xFFFFFFFF


def murmur2(data: bytes) -> int:
    """The signed 32-bit hash, as Java shows it.

    >>> murmur2(b"foobar")
    -790332482
    """
    length = len(data)
    h = (_SEED ^ length) & _MASK
    for at in range(0, length - 3, 4):
        k = int.from_bytes(data[at : at + 4], "little") * _M & _MASK
        h = (h * _M & _MASK) ^ ((k ^ (k >> 24)) * _M & _MASK)
    tail = length & 3
    if tail:
        h = (h ^ int.from_bytes(data[length - tail :], "little")) * _M & _MASK
    h = (h ^ (h >> 13)) * _M & _MASK
    h ^= h >> 15
    return h - (1 << 32) if h >> 31 else h


def murmur2_many(keys: Sequence[bytes]) -> npt.NDArray[np.int32]:
    """The hashes of many keys: those of one length are computed together.

    >>> murmur2_many([b"21", b"foobar"]).tolist()
    [-973932308, -790332482]
    """
    hashes = np.empty(len(keys), np.int32)
    lengths = np.fromiter(map(len, keys), np.int64, len(keys))
    for length in np.unique(lengths).tolist():
        rows = np.flatnonzero(lengths == length)
        joined = b"".join([keys[row] for row in rows.tolist()])
        hashes[rows] = _of_one_length(np.frombuffer(joined, np.uint8).reshape(len(rows), length))
    return hashes


def _of_one_length(data: npt.NDArray[np.uint8]) -> npt.NDArray[np.int32]:
    count, length = data.shape
    m = np.uint32(_M)
    h = np.full(count, (_SEED ^ length) & _MASK, np.uint32)
    whole = length - (length & 3)
    for k in np.ascontiguousarray(data[:, :whole]).view("<u4").T if whole else ():
        k = k * m
        h = (h * m) ^ ((k ^ (k >> 24)) * m)
    if length & 3:
        last = np.zeros((count, 4), np.uint8)
        last[:, : length & 3] = data[:, whole:]
        h = (h ^ last.view("<u4")[:, 0]) * m
    h = (h ^ (h >> 13)) * m
    return (h ^ (h >> 15)).view(np.int32)


def partition_of(key: bytes, partitions: int) -> int:
    """The partition of a key among ``partitions``, as Java's default partitioner chooses it.

    >>> partition_of(b"21", 10)
    0
    """
    return (murmur2(key) & 0x7FFFFFFF) % partitions
