"""The hash that Java's Kafka producer partitions by, so that any client finds a key's partition."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

_SEED = 0x9747B28C
_M = 0x5BD1E995
_MASK = 0xFFFFFFFF

_LONG = 256
"""Bytes of a key that is hashed by itself: the padding of all others to its length would take much memory."""


def murmur2(data: bytes) -> int:
    """The 32-bit hash as a signed number (``org.apache.kafka.common.utils.Utils.murmur2``).

    >>> murmur2(b"foobar")
    -790332482
    """
    length = len(data)
    h = (_SEED ^ length) & _MASK
    whole = length & ~3
    for index in range(0, whole, 4):
        k = int.from_bytes(data[index : index + 4], "little")
        k = (k * _M) & _MASK
        k ^= k >> 24
        k = (k * _M) & _MASK
        h = ((h * _M) & _MASK) ^ k
    rest = length - whole
    if rest:
        h ^= int.from_bytes(data[whole:], "little")
        h = (h * _M) & _MASK
    h ^= h >> 13
    h = (h * _M) & _MASK
    h ^= h >> 15
    return h - (1 << 32) if h & 0x80000000 else h


def partition_of(key: bytes, partitions: int) -> int:
    """The partition of a key, as Java's default partitioner chooses it.

    >>> partition_of(b"foobar", 8)
    6
    """
    return (murmur2(key) & 0x7FFFFFFF) % partitions


def partitions_of(keys: Sequence[bytes], partitions: int) -> npt.NDArray[np.int64]:
    """The partitions of many keys at once.

    >>> partitions_of([b"foobar", b"21"], 8)
    array([6, 4])
    """
    lengths = np.fromiter(map(len, keys), np.int64, len(keys))
    found = np.empty(len(keys), np.int64)
    short = np.flatnonzero(lengths <= _LONG)
    found[short] = (_hashes([keys[at] for at in short.tolist()], lengths[short]) & 0x7FFFFFFF) % partitions
    for at in np.flatnonzero(lengths > _LONG).tolist():
        found[at] = partition_of(keys[at], partitions)
    return found


def _hashes(keys: Sequence[bytes], lengths: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    m = np.uint32(_M)
    width = int(lengths.max(initial=0)) // 4 * 4 + 4
    # Zeros behind the end of a key do not change its last, incomplete word.
    words = np.frombuffer(b"".join([key.ljust(width, b"\0") for key in keys]), "<u4").reshape(len(keys), width // 4)
    h = np.uint32(_SEED) ^ lengths.astype(np.uint32)
    whole = lengths // 4
    for index in range(width // 4):
        k = words[:, index] * m
        k ^= k >> np.uint32(24)
        k *= m
        h = np.where(index < whole, (h * m) ^ k, h)
    rest = words[np.arange(len(keys)), whole]
    h = np.where(lengths % 4 > 0, (h ^ rest) * m, h)
    h ^= h >> np.uint32(13)
    h *= m
    h ^= h >> np.uint32(15)
    return h.astype(np.int64)
