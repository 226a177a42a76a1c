"""Which topics a detector reads, and the offsets at which reading them begins or ends."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient

from streams.partitions import Partitions
from streams.settings import Settings

Offsets = dict[str, dict[int, int]]


class Topics:
    """Kafka's topics, asked anew at every call. Blocking; raises ``KafkaException`` when Kafka is away."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._partitions = Partitions(settings)

    def partitions(self) -> dict[str, list[int]]:
        """Every topic that detectors may read: neither Riverwatch's own nor Kafka's internal ones."""
        admin = AdminClient(self._settings.client(), logger=None)
        return {
            name: sorted(topic.partitions)
            for name, topic in admin.list_topics(timeout=10.0).topics.items()
            if not name.startswith((self._settings.prefix, "__")) and topic.error is None
        }

    def ids(self, reads: Callable[[str], bool]) -> dict[str, str]:
        """The id of each topic that ``reads`` accepts: one that was deleted and made anew has another id."""
        return self._partitions.ids(topic for topic, _ in self._accepted(reads))

    def begins(self, reads: Callable[[str], bool], *, earliest: bool) -> Offsets:
        """Where reading begins, for each partition of each topic that ``reads`` accepts."""
        return self._watermarks(reads, lambda low, high: low if earliest else high)

    def ranges(self, reads: Callable[[str], bool], since_ms: int) -> dict[str, dict[int, tuple[int, int]]]:
        """For each partition the first offset of a record written at ``since_ms`` or later, and the end offset now.

        By the records' timestamps: where they are not in order, the first one that is late enough counts. A
        partition without any is read from its end, which is nothing.
        """
        ranges: dict[str, dict[int, tuple[int, int]]] = {}
        with _Reader(self._settings) as consumer:
            for topic, partitions in self._accepted(reads):
                places = [TopicPartition(topic, partition, max(0, since_ms)) for partition in partitions]
                found = {place.partition: place.offset for place in consumer.offsets_for_times(places, timeout=10.0)}
                ranges[topic] = {}
                for partition in partitions:
                    low, high = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=10.0)
                    begin = found.get(partition, -1)
                    ranges[topic][partition] = (high if begin < 0 else min(max(low, begin), high), high)
        return ranges

    def _watermarks(self, reads: Callable[[str], bool], choose: Callable[[int, int], int]) -> Offsets:
        offsets: Offsets = {}
        with _Reader(self._settings) as consumer:
            for topic, partitions in self._accepted(reads):
                offsets[topic] = {
                    partition: choose(*consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=10.0))
                    for partition in partitions
                }
        return offsets

    def _accepted(self, reads: Callable[[str], bool]) -> Iterable[tuple[str, list[int]]]:
        return ((topic, partitions) for topic, partitions in self.partitions().items() if reads(topic))


class _Reader:
    def __init__(self, settings: Settings) -> None:
        self._consumer = Consumer(settings.client(**{"group.id": settings.group + "-reader"}), logger=None)

    def __enter__(self) -> Consumer:
        return self._consumer

    def __exit__(self, *_: object) -> None:
        self._consumer.close()
