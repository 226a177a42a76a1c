"""Reading one partition from an offset to a fixed end, with a consumer of its own. Blocking: run it in a thread."""

from __future__ import annotations

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from schemas.errors import RiverwatchError
from streams.settings import Settings

_AWAY = (KafkaError._ALL_BROKERS_DOWN, KafkaError._TRANSPORT, KafkaError._TIMED_OUT, KafkaError._RESOLVE)
_GONE = (
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError._UNKNOWN_TOPIC,
    KafkaError._UNKNOWN_PARTITION,
    KafkaError.UNKNOWN_TOPIC_ID,
)


class TopicGone(RiverwatchError):
    """The topic that is being read was deleted."""


class ScanRecord:
    """A confluent message as decoders read it; the key is asked for by dead letters only."""

    __slots__ = ("_message", "offset", "value")

    def __init__(self, message: Message) -> None:
        self._message = message
        self.offset = message.offset()
        self.value = message.value()

    @property
    def key(self) -> bytes | None:
        """The record's key."""
        key: bytes | None = self._message.key()
        return key


class PartitionReader:
    """Records ``[offset, end)`` of a partition, a slice at a time. Waits while Kafka is away.

    ``position`` is the next offset; ``ended`` says that there is nothing more before ``end``. Where compaction or
    transactions leave no record right before ``end``, the partition's end tells. ``low`` is the first offset that
    the partition held when reading began.
    """

    def __init__(self, settings: Settings, topic: str, partition: int, offset: int, end: int) -> None:
        self._topic = topic
        self._partition = partition
        self._end = end
        self.position = offset
        self.low = 0
        self.ended = offset >= end
        self._consumer = Consumer(
            settings.client(
                **{
                    "group.id": settings.group + "-reader",  # required by the client; never joined, never committed
                    "enable.auto.commit": False,
                    "enable.partition.eof": True,
                    "auto.offset.reset": "earliest",
                    "fetch.wait.max.ms": 50,
                    # A consumer for each scan: the default of 64 MB for each of them would be gigabytes.
                    "queued.max.messages.kbytes": 16_384,
                }
            ),
            logger=None,
        )
        self._consumer.assign([TopicPartition(topic, partition, offset)])

    def look(self) -> bool:
        """Find ``low``, and whether what is to be read is still there; False when Kafka does not answer.

        Raises ``TopicGone``.
        """
        try:
            found = self._consumer.list_topics(self._topic, timeout=5.0).topics[self._topic]
            if found.error is not None or self._partition not in found.partitions:
                raise TopicGone(f"topic {self._topic} was deleted while it was analysed")
            place = TopicPartition(self._topic, self._partition)
            self.low, high = self._consumer.get_watermark_offsets(place, timeout=5.0)
        except KafkaException as error:
            if error.args[0].code() in _GONE:
                raise TopicGone(f"topic {self._topic} was deleted while it was analysed") from error
            return False
        if high < self._end:
            raise TopicGone(f"topic {self._topic} was deleted and made anew while it was analysed")
        return True

    def read(self, most: int, seconds: float) -> list[ScanRecord]:
        """The next records; nothing when none came in time. Raises ``TopicGone`` or ``KafkaException``."""
        messages = self._consumer.consume(most, seconds)
        records = [ScanRecord(message) for message in messages if message.error() is None]
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
            elif code in _GONE:
                raise TopicGone(f"topic {self._topic} was deleted while it was analysed")
            elif code not in _AWAY:
                raise KafkaException(event.error())

    def close(self) -> None:
        """Let go of the connection."""
        self._consumer.close()
