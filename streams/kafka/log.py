"""What is read of Kafka beside the consumer group, as a port: the simulation of workers puts a log in memory behind it.

Everything here blocks, and is called in threads.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from confluent_kafka import Message

from streams.kafka.extent import Extent
from streams.kafka.partitions import Partitions
from streams.kafka.read import read_to_end
from streams.kafka.reader import PartitionReader
from streams.kafka.tp import TP


class Reader(Protocol):
    """Reads one partition: see ``PartitionReader``."""

    position: int
    lost: list[tuple[int, int]]

    def read(self, most: int, seconds: float) -> Sequence[Any]:
        """The next records; nothing when none came in time. Raises ``KafkaException``."""
        ...

    def close(self) -> None:
        """Let go of the connection."""
        ...


class Log(Protocol):
    """Kafka, as far as it is read here."""

    def whole(self, topic: str, partitions: list[int]) -> Iterator[Message]:
        """Every record of the partitions up to their present end. Raises ``KafkaException``."""
        ...

    def extents(self, tps: Iterable[TP]) -> dict[TP, Extent]:
        """The first and the end offset of partitions. Raises ``KafkaException``."""
        ...

    def since(self, topic: str, partition: int, offset: int) -> Reader:
        """Read a partition from an offset on."""
        ...


class KafkaLog:
    """The log that Kafka keeps."""

    def __init__(self, client: Mapping[str, Any]) -> None:
        self._client = client
        self._partitions = Partitions(client)

    def whole(self, topic: str, partitions: list[int]) -> Iterator[Message]:
        """See ``Log``."""
        return read_to_end(self._client, topic, partitions)

    def extents(self, tps: Iterable[TP]) -> dict[TP, Extent]:
        """See ``Log``."""
        return self._partitions.extents(tps)

    def since(self, topic: str, partition: int, offset: int) -> Reader:
        """See ``Log``."""
        return PartitionReader(self._client, topic, partition, offset)
