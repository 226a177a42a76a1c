"""Which topics a detector reads, and the offsets at which reading them begins or ends."""

from __future__ import annotations

from collections.abc import Collection

from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient

from streams.coordinate.lookup import Found, Question
from streams.coordinate.step import Ranges
from streams.kafka.partitions import Partitions
from streams.kafka.reading import READING
from streams.settings import Settings


class KafkaTopics:
    """Kafka's topics, asked anew at every call; see ``Topics``."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._partitions = Partitions(settings.client())

    def partitions(self) -> dict[str, list[int]]:
        admin = AdminClient(self._settings.client(), logger=None)
        return {
            name: sorted(topic.partitions)
            for name, topic in admin.list_topics(timeout=10.0).topics.items()
            if not name.startswith((self._settings.prefix, "__")) and topic.error is None
        }

    def ids(self, topics: Collection[str]) -> dict[str, str]:
        return self._partitions.ids(topics)

    def answer(self, question: Question) -> Found:
        ranges: Ranges = {}
        topics = [(topic, partitions) for topic, partitions in self.partitions().items() if question.reads(topic)]
        # First: a topic that is made anew meanwhile is another one than that of the id, and read as such.
        ids = self.ids([topic for topic, _ in topics])
        with _Reader(self._settings) as consumer:
            for topic, partitions in topics:
                begins = {}
                if question.since_ms is not None:
                    places = [TopicPartition(topic, partition, max(0, question.since_ms)) for partition in partitions]
                    found = consumer.offsets_for_times(places, timeout=10.0)
                    begins = {place.partition: place.offset for place in found}
                ranges[topic] = {}
                for partition in partitions:
                    low, high = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=10.0)
                    begin = low if question.since_ms is None else begins.get(partition, -1)
                    ranges[topic][partition] = (high if begin < 0 else min(max(low, begin), high), high)
        return Found(ranges, ids)

    def end_of_control(self) -> int:
        with _Reader(self._settings) as consumer:
            partition = TopicPartition(self._settings.topic("control"), 0)
            return int(consumer.get_watermark_offsets(partition, timeout=10.0)[1])


class _Reader:
    def __init__(self, settings: Settings) -> None:
        self._consumer = Consumer(settings.client(**READING), logger=None)

    def __enter__(self) -> Consumer:
        return self._consumer

    def __exit__(self, *_: object) -> None:
        self._consumer.close()
