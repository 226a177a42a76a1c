"""Reading compacted topics outside of the consumer group: once to their end, or for ever."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import structlog
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

from schemas.errors import RiverwatchError

log = structlog.get_logger()

LEADER_SECONDS = 30.0
"""A partition gets a new leader within so long."""


class KafkaUnreachable(RiverwatchError):
    """Kafka did not answer in time."""


def _consumer(client: Mapping[str, Any]) -> Consumer:
    return Consumer(
        dict(client)
        | {
            "group.id": "riverwatch-reader",  # required by the client; never joined, never committed
            "enable.auto.commit": False,
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


class Follower:
    """Follows single-partition topics for ever, from their beginning, in a thread of its own.

    ``apply`` gets each record in the event loop, in order. ``caught_up`` is set once everything that was there at
    the start has been applied. Errors are logged and waited out.
    """

    def __init__(self, client: Mapping[str, Any], topics: list[str], apply: Callable[[Message], None]) -> None:
        self._client = client
        self._topics = topics
        self._apply = apply
        self._loop = asyncio.get_running_loop()
        self._stopping = threading.Event()
        self.caught_up = asyncio.Event()
        self.failed: asyncio.Future[None] = self._loop.create_future()
        self._thread = threading.Thread(target=self._run, name="follower", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop reading."""
        self._stopping.set()
        self._thread.join(2.0)

    def _run(self) -> None:
        consumer = _consumer(self._client)
        try:
            ends = self._ends(consumer)
            consumer.assign([TopicPartition(topic, 0, OFFSET_BEGINNING) for topic in self._topics])
            seen = dict.fromkeys(self._topics, 0)
            reported = False
            while not self._stopping.is_set():
                messages = []
                for message in consumer.consume(5_000, timeout=0.05):
                    if (error := message.error()) is None:
                        messages.append(message)
                        seen[message.topic()] = message.offset() + 1
                    elif error.code() != KafkaError._PARTITION_EOF:
                        log.warning("follower waits for Kafka", error=str(error))
                if not messages and not reported:
                    for entry in consumer.position([TopicPartition(topic, 0) for topic in self._topics]):
                        seen[entry.topic] = max(seen[entry.topic], entry.offset)
                if messages:
                    self._hand_over(self._apply_all, messages)
                if not reported and all(seen[topic] >= end for topic, end in ends.items()):
                    reported = True
                    self._hand_over(self.caught_up.set)
        except Exception as error:
            self._hand_over(self._fail, error)
        finally:
            consumer.close()

    def _ends(self, consumer: Consumer) -> dict[str, int]:
        while not self._stopping.is_set():
            try:
                return {
                    topic: consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=5.0)[1]
                    for topic in self._topics
                }
            except KafkaException as error:
                log.warning("follower waits for Kafka", error=str(error))
                self._stopping.wait(1.0)
        return {}

    def _hand_over(self, function: Callable[..., object], *arguments: object) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(function, *arguments)

    def _apply_all(self, messages: list[Message]) -> None:
        try:
            for message in messages:
                self._apply(message)
        except Exception as error:
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        if not self.failed.done():
            self.failed.set_exception(error)
