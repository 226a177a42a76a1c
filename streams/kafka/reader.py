"""Reading one partition from an offset on, outside of Faust, with a consumer of its own. Blocking: for threads."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from streams.kafka.error_codes import AWAY, GONE
from streams.kafka.reading import READING
from streams.kafka.record import Record


class PartitionReader:
    """The records of a partition, a slice at a time. Waits while Kafka or the topic is away.

    ``position`` is the next offset; it passes what compaction and transactions left without a record. ``lost`` are the
    offsets, first and next, that retention deleted before they could be read.
    """

    def __init__(self, client: Mapping[str, Any], topic: str, partition: int, offset: int) -> None:
        self.position = offset
        self.lost: list[tuple[int, int]] = []
        self._place = TopicPartition(topic, partition)
        self._out_of_range = False
        # A scan is cancelled while a thread reads for it: closing the consumer under its hands crashes the process.
        self._in_use = threading.Lock()
        self._consumer = Consumer(
            dict(client)
            | {
                **READING,
                "enable.partition.eof": True,
                "auto.offset.reset": "error",  # "earliest" would leave out silently what retention deletes
                "fetch.wait.max.ms": 50,
                # A consumer for each reader: the default of 64 MB for each of them would be gigabytes.
                "queued.max.messages.kbytes": 16_384,
            },
            logger=None,
        )
        self._consumer.assign([TopicPartition(topic, partition, offset)])

    def read(self, most: int, seconds: float) -> list[Record]:
        """The next records; nothing when none came in time. Raises ``KafkaException``."""
        with self._in_use:
            if self._out_of_range:
                self._skip_what_is_lost()
            messages = self._consumer.consume(most, seconds)
            records = [Record(message) for message in messages if message.error() is None]
            for message in messages:
                if message.error() is not None:
                    self._judge(message)
            if records:
                self.position = max(self.position, records[-1].offset + 1)
            return records

    def _judge(self, event: Message) -> None:
        code = event.error().code()
        if code == KafkaError._PARTITION_EOF:
            self.position = max(self.position, event.offset())
        elif code == KafkaError._AUTO_OFFSET_RESET:
            self._out_of_range = True
        elif code not in AWAY and code not in GONE:
            raise KafkaException(event.error())

    def _skip_what_is_lost(self) -> None:
        try:
            low, _ = self._extent()
        except KafkaException as error:
            if error.args[0].code() in (*AWAY, *GONE):
                return
            raise
        self._out_of_range = False
        if low > self.position:
            self.lost.append((self.position, low))
            self.position = low
        self._consumer.assign([TopicPartition(self._place.topic, self._place.partition, self.position)])

    def extent(self) -> tuple[int, int]:
        """The first offset and the end offset of the partition now. Raises ``KafkaException``."""
        with self._in_use:
            return self._extent()

    def _extent(self) -> tuple[int, int]:
        low, high = self._consumer.get_watermark_offsets(self._place, timeout=5.0)
        return int(low), int(high)

    def close(self) -> None:
        """Let go of the connection, once nobody reads any more."""
        with self._in_use:
            self._consumer.close()
