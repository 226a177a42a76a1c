from __future__ import annotations

import pytest
from aiokafka.partitioner import murmur2 as of_the_client
from hypothesis import given
from hypothesis import strategies as st

from streams.kafka.murmur2 import murmur2, partition_of, partitions_of


@pytest.mark.parametrize(
    ("key", "wanted"),
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_the_vectors_of_kafka(key: bytes, wanted: int) -> None:
    assert murmur2(key) == wanted


@given(st.binary(max_size=40), st.integers(1, 64))
def test_the_client_library_finds_the_same_partition(key: bytes, partitions: int) -> None:
    assert murmur2(key) & 0xFFFFFFFF == of_the_client(key) & 0xFFFFFFFF
    assert partition_of(key, partitions) == (of_the_client(key) & 0x7FFFFFFF) % partitions


@given(st.lists(st.binary(max_size=20) | st.binary(min_size=250, max_size=270), max_size=12), st.integers(1, 64))
def test_many_keys_at_once_have_the_partitions_that_each_has(keys: list[bytes], partitions: int) -> None:
    assert partitions_of(keys, partitions).tolist() == [partition_of(key, partitions) for key in keys]
