"""The hash that Java's Kafka producer partitions by, so that any client finds a key's partition."""

from __future__ import annotations

_SEED = 0x9747B28C
_M = 0x5BD1E995
_MASK = 0xFFFFFFFF


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
