"""Reading partitions of Riverwatch's own topics once, to their present end."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

from streams.kafka.reading import LEADER_SECONDS, READING


def _consumer(client: Mapping[str, Any]) -> Consumer:
    return Consumer(
        dict(client)
        | {
            **READING,
            "enable.partition.eof": False,
            "fetch.message.max.bytes": 17_000_000,
            "fetch.wait.max.ms": 100,
        },
        logger=None,
    )


def read_to_end(client: Mapping[str, Any], topic: str, partitions: list[int]) -> Iterator[Message]:
    """Every record of the partitions, from their beginning to the end offset seen at the call.

    Blocking. Raises ``KafkaException`` when Kafka is away or the topic is unknown.
    """
    consumer = _consumer(client)
    try:
        ends: dict[int, int] = {}
        for partition in partitions:
            low, high = _watermarks(consumer, TopicPartition(topic, partition))
            if high > low:
                ends[partition] = high
        if not ends:
            return
        consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in ends])
        positions = dict.fromkeys(ends, 0)
        while any(positions[partition] < end for partition, end in ends.items()):
            batch = consumer.consume(10_000, timeout=0.2)
            for message in batch:
                if (error := message.error()) is not None:
                    raise KafkaException(error)
                positions[message.partition()] = message.offset() + 1
                if message.offset() < ends[message.partition()]:
                    yield message
            if not batch:
                # Compaction or transactions may leave no record right before the end: the position tells.
                for entry in consumer.position([TopicPartition(topic, p) for p in ends]):
                    if entry.offset >= 0:
                        positions[entry.partition] = max(positions[entry.partition], entry.offset)
    finally:
        consumer.close()


def _watermarks(consumer: Consumer, partition: TopicPartition) -> tuple[int, int]:
    deadline = time.monotonic() + LEADER_SECONDS
    while True:
        try:
            low, high = consumer.get_watermark_offsets(partition, timeout=10.0)
            return int(low), int(high)
        except KafkaException as error:
            # A topic that was just created, or whose broker was just lost.
            if error.args[0].code() != KafkaError.NOT_LEADER_FOR_PARTITION or time.monotonic() > deadline:
                raise
            time.sleep(0.1)
