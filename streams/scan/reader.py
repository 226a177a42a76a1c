"""Reading one partition from an offset to a fixed end, with a consumer of its own. Blocking: run it in a thread."""

from __future__ import annotations

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from schemas.errors import RiverwatchError
from streams.ingest.catchup import Record
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

    def read(self, most: int, seconds: float) -> list[Record]:
        """The next records; nothing when none came in time. Raises ``TopicGone`` or ``KafkaException``."""
        records: list[Record] = []
        for message in self._consumer.consume(most, seconds):
            if (error := message.error()) is None:
                if message.offset() >= self._end:
                    self.ended = True
                    self.position = self._end
                    break
                records.append(Record(message))
            elif error.code() == KafkaError._PARTITION_EOF:
                self.position = max(self.position, message.offset())
            elif error.code() in _GONE:
                raise TopicGone(f"topic {self._topic} was deleted while it was analysed")
            elif error.code() not in _AWAY:
                raise KafkaException(error)
        if records:
            self.position = max(self.position, records[-1].offset + 1)
        self.ended = self.ended or self.position >= self._end
        return records

    def close(self) -> None:
        """Let go of the connection."""
        self._consumer.close()
