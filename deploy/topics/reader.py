"""Reading one of Riverwatch's topics as it grows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from deploy.errors import DeployError, KafkaUnreachable

TIMEOUT_SECONDS = 15.0
BATCH = 10_000


class TopicReader:
    """Reads all partitions of a topic, from its end as it is now or from its beginning.

    The position is fixed on construction: nothing written later is missed. Raises ``KafkaUnreachable``, or
    ``DeployError`` when there is no such topic.
    """

    def __init__(self, client: Mapping[str, Any], topic: str, *, from_beginning: bool) -> None:
        self._consumer = Consumer(
            {
                "log_level": 2,
                **client,
                "group.id": "riverwatch-tail",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "fetch.wait.max.ms": 100,
                "error_cb": lambda _error: None,
            }
        )
        self._unread: set[int] = set()
        try:
            self._consumer.assign(self._positions(topic, from_beginning))
        except KafkaException as error:
            self._consumer.close()
            raise KafkaUnreachable(
                f"Kafka does not answer at {client['bootstrap.servers']} ({error.args[0].str()}). Check --brokers"
                " (RIVERWATCH_BROKERS)."
            ) from error
        except DeployError:
            self._consumer.close()
            raise

    def _positions(self, topic: str, from_beginning: bool) -> list[TopicPartition]:
        found = self._consumer.list_topics(topic, timeout=TIMEOUT_SECONDS).topics[topic]
        if found.error is not None:
            raise DeployError(f"Kafka has no topic {topic} to read ({found.error.str()}): run riverwatch topics apply")
        positions: list[TopicPartition] = []
        for partition in found.partitions:
            low, high = self._consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=TIMEOUT_SECONDS)
            positions.append(TopicPartition(topic, partition, low if from_beginning else high))
            self._unread.add(partition)
        return positions

    @property
    def at_end(self) -> bool:
        """Whether every partition has been read to its end once."""
        return not self._unread

    def poll(self, seconds: float) -> list[Message]:
        """Records that arrive within ``seconds``."""
        messages: list[Message] = []
        for message in self._consumer.consume(BATCH, timeout=seconds):
            if message.error() is None:
                messages.append(message)
            elif message.error().code() == KafkaError._PARTITION_EOF:
                self._unread.discard(message.partition())
            elif message.error().code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                raise DeployError(f"the topic {message.topic()} has been deleted")
        return messages

    def close(self) -> None:
        """Close the connection."""
        self._consumer.close()
