"""Kafka in memory, as far as a worker can tell: partitions with offsets, compaction, transactions, outages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME

from streams.kafka.murmur2 import partition_of


class Away(Exception):
    """Kafka does not answer."""


class Record(NamedTuple):
    """A record as decoders take it."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()


class Message:
    """A record as a confluent consumer hands it over."""

    def __init__(self, topic: str, partition: int, record: Record) -> None:
        self._topic = topic
        self._partition = partition
        self._record = record

    def topic(self) -> str:
        return self._topic

    def partition(self) -> int:
        return self._partition

    def offset(self) -> int:
        return self._record.offset

    def key(self) -> bytes | None:
        return self._record.key

    def value(self) -> bytes | None:
        return self._record.value

    def timestamp(self) -> tuple[int, int]:
        return TIMESTAMP_LOG_APPEND_TIME, self._record.timestamp

    def error(self) -> None:
        return None


@dataclass
class Partition:
    """Records in offset order; ``end`` is the next offset, ``low`` the first one that retention left."""

    records: list[Record] = field(default_factory=list)
    end: int = 0
    low: int = 0

    def append(self, timestamp: int, key: bytes | None, value: bytes | None, headers: Any = ()) -> int:
        """Write a record; its offset."""
        offset = self.end
        self.records.append(Record(offset, timestamp, key, value, tuple(headers or ())))
        self.end += 1
        return offset

    def since(self, offset: int, most: int | None = None) -> list[Record]:
        """The records from an offset on."""
        low, high = 0, len(self.records)
        while low < high:
            middle = (low + high) // 2
            if self.records[middle].offset < offset:
                low = middle + 1
            else:
                high = middle
        return self.records[low:] if most is None else self.records[low : low + most]

    def compact(self, before_ms: int) -> None:
        """Keep the newest record of each key, of those that were written before; tombstones go as well.

        As Kafka does it: what is younger than ``min.compaction.lag.ms`` stays, and neither counts as newer.
        """
        newest = {record.key: record.offset for record in self.records if record.timestamp < before_ms}
        self.records = [
            record
            for record in self.records
            if record.timestamp >= before_ms or (newest[record.key] == record.offset and record.value is not None)
        ]


class Log:
    """Topics by full name. Time is epoch ms."""

    def __init__(self) -> None:
        self.topics: dict[str, list[Partition]] = {}
        self.away = False
        self.epoch = 0
        """How often the coordinator's journal was opened."""

    def create(self, name: str, partitions: int = 1) -> None:
        """Make a topic."""
        self.topics[name] = [Partition() for _ in range(partitions)]

    def partition_for(self, topic: str, key: bytes | str | None) -> int:
        """The partition that clients choose for a key."""
        data = key.encode() if isinstance(key, str) else key or b""
        return partition_of(data, len(self.topics[topic]))

    def append(
        self, topic: str, partition: int, now: int, key: bytes | None, value: bytes | None, headers: Any = ()
    ) -> int:
        """Write a record; its offset."""
        return self.topics[topic][partition].append(now, key, value, headers)

    def marker(self, topic: str, partition: int) -> None:
        """The marker of a transaction: it takes an offset and is no record."""
        self.topics[topic][partition].end += 1

    def read(self, topic: str, partitions: Sequence[int]) -> Iterator[Message]:
        """All that some partitions hold now."""
        for partition in partitions:
            for record in self.topics[topic][partition].records:
                yield Message(topic, partition, record)
