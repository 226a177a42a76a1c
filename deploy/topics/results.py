"""Reading the topics ``results`` and ``anomalies`` as they grow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from deploy.errors import DeployError, KafkaUnreachable
from schemas.result import Result, decode_result

TIMEOUT_SECONDS = 15.0
BATCH = 10_000


class ResultReader:
    """Reads all partitions of a topic of results, from its end as it is now or from its beginning.

    The position is fixed on construction: nothing written later is missed. ``unreadable`` counts records that are no
    results. Raises ``KafkaUnreachable``, or ``DeployError`` when there is no such topic.
    """

    def __init__(self, client: Mapping[str, Any], topic: str, *, from_beginning: bool) -> None:
        self._consumer = Consumer(
            {
                "log_level": 2,
                **client,
                "group.id": "riverwatch-tail",
                "enable.auto.commit": False,
                "fetch.wait.max.ms": 100,
                "error_cb": lambda _error: None,
            }
        )
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
        self.unreadable = 0

    def _positions(self, topic: str, from_beginning: bool) -> list[TopicPartition]:
        found = self._consumer.list_topics(topic, timeout=TIMEOUT_SECONDS).topics[topic]
        if found.error is not None:
            raise DeployError(f"Kafka has no topic {topic} to read ({found.error.str()}): run riverwatch topics apply")
        positions: list[TopicPartition] = []
        for partition in found.partitions:
            low, high = self._consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=TIMEOUT_SECONDS)
            positions.append(TopicPartition(topic, partition, low if from_beginning else high))
        return positions

    def poll(self, seconds: float) -> list[tuple[Result, bytes]]:
        """Results that arrive within ``seconds``, with their bytes. Unreadable records are skipped and counted."""
        results: list[tuple[Result, bytes]] = []
        for message in self._consumer.consume(BATCH, timeout=seconds):
            if message.error() is not None:
                if message.error().code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                    raise DeployError(f"the topic {message.topic()} has been deleted")
                continue
            try:
                results.append((decode_result(message.value() or b""), message.value()))
            except msgspec.DecodeError:
                self.unreadable += 1
        return results

    def close(self) -> None:
        """Close the connection."""
        self._consumer.close()
