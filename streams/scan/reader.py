"""Reading one partition from an offset to a fixed end, with a consumer of its own. Blocking: run it in a thread."""

from __future__ import annotations

import threading
import time

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from schemas.errors import RiverwatchError
from streams.error_codes import AWAY, GONE
from streams.ingest.record import Record
from streams.settings import Settings

CERTAIN = 2.0
"""Seconds for which a topic must be seen to be gone: a broker that has just started may not know it for a moment."""


class TopicGone(RiverwatchError):
    """The topic that is being read was deleted."""


class PartitionReader:
    """Records ``[offset, end)`` of a partition, a slice at a time. Waits while Kafka is away.

    ``position`` is the next offset; ``ended`` says that there is nothing more before ``end``. Where compaction or
    transactions leave no record right before ``end``, the partition's end tells. ``low`` is the first offset that
    the partition held when reading began, 0 before it was looked at; ``lost`` are the offsets, first and next, that
    were deleted before they could be read.
    """

    def __init__(self, settings: Settings, topic: str, partition: int, offset: int, end: int) -> None:
        self._topic = topic
        self._partition = partition
        self._end = end
        self.position = offset
        self.low = 0
        self.lost: list[tuple[int, int]] = []
        self.ended = offset >= end
        self._gone_since: float | None = None
        self._looked = False
        self._out_of_range = False
        # A scan is cancelled while a thread reads for it: closing the consumer under its hands crashes the process.
        self._in_use = threading.Lock()
        self._consumer = Consumer(
            settings.client(
                **{
                    "group.id": settings.group + "-reader",  # required by the client; never joined, never committed
                    "enable.auto.commit": False,
                    "enable.partition.eof": True,
                    "auto.offset.reset": "error",  # "earliest" would leave out silently what retention deletes
                    "fetch.wait.max.ms": 50,
                    # A consumer for each scan: the default of 64 MB for each of them would be gigabytes.
                    "queued.max.messages.kbytes": 16_384,
                }
            ),
            logger=None,
        )
        self._consumer.assign([TopicPartition(topic, partition, offset)])

    def look(self) -> bool:
        """Find ``low``, and whether what is to be read is still there; False while that can't be told.

        Raises ``TopicGone``, after ``CERTAIN`` seconds of looking.
        """
        with self._in_use:
            return self._look()

    def _look(self) -> bool:
        try:
            found = self._consumer.list_topics(self._topic, timeout=5.0).topics[self._topic]
            if found.error is not None or self._partition not in found.partitions:
                return self._gone("deleted")
            place = TopicPartition(self._topic, self._partition)
            low, high = self._consumer.get_watermark_offsets(place, timeout=5.0)
        except KafkaException as error:
            return self._gone("deleted") if error.args[0].code() in GONE else False
        if high < self._end:
            return self._gone("deleted and made anew")
        self._gone_since = None
        if not self._looked:
            self.low, self._looked = low, True
        if self._out_of_range:
            self._skip_to(low)
        return True

    def _skip_to(self, low: int) -> None:
        self._out_of_range = False
        if low > self.position:
            self.lost.append((self.position, min(low, self._end)))
            self.position = low
        self.ended = self.position >= self._end
        self._consumer.assign([TopicPartition(self._topic, self._partition, self.position)])

    def _gone(self, what: str) -> bool:
        now = time.monotonic()
        self._gone_since = self._gone_since or now
        if now - self._gone_since >= CERTAIN:
            raise TopicGone(f"topic {self._topic} was {what} while it was analysed")
        return False

    def read(self, most: int, seconds: float) -> list[Record]:
        """The next records; nothing when none came in time. Raises ``KafkaException``."""
        with self._in_use:
            messages = self._consumer.consume(most, seconds)
        records = [Record(message) for message in messages if message.error() is None]
        if len(records) < len(messages):
            self._judge([message for message in messages if message.error() is not None])
        if records:
            self.position = max(self.position, records[-1].offset + 1)
        if self.position >= self._end:
            self.ended = True
            while records and records[-1].offset >= self._end:
                records.pop()
        return records

    def _judge(self, events: list[Message]) -> None:
        for event in events:
            code = event.error().code()
            if code == KafkaError._PARTITION_EOF:
                self.position = max(self.position, event.offset())
            elif code == KafkaError._AUTO_OFFSET_RESET:
                self._out_of_range = True
            elif code not in AWAY and code not in GONE:  # of a topic that is gone ``look`` makes sure
                raise KafkaException(event.error())

    def close(self) -> None:
        """Let go of the connection, once nobody reads any more."""
        with self._in_use:
            self._consumer.close()
