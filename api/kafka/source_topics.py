"""Which source topics exist, and their oldest and newest records."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from api.detectors.sample import RawRecord, Sample, read_sample
from api.http.errors import index_not_found, unavailable
from schemas.topic_pattern import matches_topic
from streams.formats.sniff import Told
from streams.kafka.reading import READING
from streams.kafka.silence import SilentLogger
from streams.schema_registry.client import RegistryAway, SchemaRegistry

T = TypeVar("T")

METADATA_SECONDS = 1.0
"""Maximum age of the list of topics."""

FIRST = 20
"""Records of each partition that are read to find a topic's first event time."""


def chosen(indices: Sequence[str], known: Iterable[str], own_prefix: str) -> list[str]:
    """The topics among ``known`` that names and ``*`` patterns match, except Kafka's and Riverwatch's own.

    Raises ``Refused`` (404) for a name that matches none.

    >>> chosen(["orders*", "srv"], ["srv", "orders-eu", "riverwatch.control"], "riverwatch.")
    ['orders-eu', 'srv']
    """
    data = sorted(name for name in known if not name.startswith(("__", own_prefix)))
    found: dict[str, None] = {}
    for index in indices:
        if "*" in index:
            found.update(dict.fromkeys(name for name in data if matches_topic(index, name)))
        elif index in data:
            found[index] = None
        else:
            raise index_not_found(index)
    return list(found)


class SourceTopics:
    """Bounded reads of source topics, one at a time in a separate thread."""

    def __init__(
        self, client: Mapping[str, str], own_prefix: str, newest: int, timeout: float, registry: SchemaRegistry
    ) -> None:
        self._client = dict(client)
        self._own_prefix = own_prefix
        self._newest = newest
        self._timeout = timeout
        self._registry = registry
        self._executor = ThreadPoolExecutor(1, "sources")
        self._consumer: Consumer | None = None
        self._partitions: dict[str, list[int]] = {}
        self._listed = 0.0

    def stop(self) -> None:
        """Close the consumer."""
        self._executor.shutdown(wait=True)
        if self._consumer is not None:
            self._consumer.close()

    async def topics(self, indices: Sequence[str]) -> list[str]:
        """The topics that names and ``*`` patterns match.

        Raises ``Refused`` (404 ``index_not_found_exception``) for a name that matches none, as OpenSearch does; a
        pattern may match nothing.
        """
        return await self._in_thread(self._topics, indices)

    async def samples(self, topics: Sequence[str], source: Told, newest: int | None = None) -> list[Sample]:
        """The newest records of each topic: ``newest`` of each partition, by default ``RIVERWATCH_SOURCE_SAMPLE``.

        ``source`` is their format, which is told from the records where it says none.
        """
        count = self._newest if newest is None else newest
        return await self._in_thread(lambda names: self._samples(names, source, count, oldest=False), topics)

    async def oldest(self, topics: Sequence[str], source: Told) -> list[Sample]:
        """The first records of each topic."""
        return await self._in_thread(lambda names: self._samples(names, source, FIRST, oldest=True), topics)

    async def ends(self, topic: str) -> dict[int, int]:
        """The offset after the last record of each partition of a topic."""
        return await self._in_thread(lambda names: self._ends(names[0]), [topic])

    def _ends(self, topic: str) -> dict[int, int]:
        consumer = self._open()
        return {
            partition: consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=self._timeout)[1]
            for partition in self._metadata().get(topic, ())
        }

    async def _in_thread(self, read: Callable[[Sequence[str]], T], names: Sequence[str]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, read, names)
        except KafkaException as error:
            raise unavailable(f"the source topics cannot be read: {error.args[0].str()}") from error
        except RegistryAway as error:
            raise unavailable(f"the source topics cannot be read: {error}") from error

    def _topics(self, indices: Sequence[str]) -> list[str]:
        known = self._metadata()
        if any("*" not in index and index not in known for index in indices):
            self._listed = 0.0  # it may just have been created
            known = self._metadata()
        return chosen(indices, known, self._own_prefix)

    def _metadata(self) -> dict[str, list[int]]:
        if time.monotonic() - self._listed > METADATA_SECONDS:
            listed = self._open().list_topics(timeout=self._timeout).topics
            self._partitions = {name: sorted(topic.partitions) for name, topic in listed.items() if topic.error is None}
            self._listed = time.monotonic()
        return self._partitions

    def _samples(self, topics: Sequence[str], source: Told, count: int, *, oldest: bool) -> list[Sample]:
        consumer = self._open()
        ends: dict[tuple[str, int], int] = {}
        begins: list[TopicPartition] = []
        totals = dict.fromkeys(topics, 0)
        for topic in topics:
            for partition in self._metadata().get(topic, ()):
                low, high = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=self._timeout)
                totals[topic] += high - low
                if high > low:
                    ends[topic, partition] = min(high, low + count) if oldest else high
                    begins.append(TopicPartition(topic, partition, low if oldest else max(low, high - count)))
        found: dict[str, list[RawRecord]] = {topic: [] for topic in topics}
        if begins:
            consumer.assign(begins)
            try:
                self._read(consumer, ends, found)
            finally:
                consumer.unassign()
        return [read_sample(topic, found[topic], totals[topic], source, self._registry) for topic in topics]

    def _read(self, consumer: Consumer, ends: dict[tuple[str, int], int], found: dict[str, list[RawRecord]]) -> None:
        """Read up to the ends, or until the timeout: an incomplete sample is better than none."""
        until = time.monotonic() + self._timeout
        open_partitions = set(ends)
        while open_partitions and time.monotonic() < until:
            first = consumer.poll(0.2)
            for message in [] if first is None else [first, *consumer.consume(5000, 0)]:
                at = (message.topic() or "", message.partition() or 0)
                error = message.error()
                if error is not None:
                    if error.code() == KafkaError._PARTITION_EOF:
                        open_partitions.discard(at)
                    continue
                if message.offset() < ends[at]:
                    stamp = message.timestamp()[1]
                    found[at[0]].append(RawRecord(message.value(), at[1], message.key(), stamp, message.headers()))
                if message.offset() + 1 >= ends[at]:
                    open_partitions.discard(at)

    def _open(self) -> Consumer:
        if self._consumer is None:
            self._consumer = Consumer(
                {
                    **self._client,
                    **READING,
                    "enable.partition.eof": True,
                    "auto.offset.reset": "earliest",
                    "fetch.wait.max.ms": 20,
                    "logger": SilentLogger(),
                }
            )
        return self._consumer
