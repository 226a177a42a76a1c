"""A producer of metrics: one JSON object a record, keyed by its series."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from confluent_kafka import KafkaError, KafkaException, Message, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from deploy.errors import DeployError

TIMEOUT_SECONDS = 30.0


def create_topic(client: Mapping[str, Any], name: str, partitions: int) -> None:
    """Create a topic and wait until its partitions have leaders. Raises ``DeployError``."""
    admin = AdminClient({"log_level": 2, **client})
    try:
        admin.create_topics([NewTopic(name, partitions, 1)])[name].result(TIMEOUT_SECONDS)
    except KafkaException as error:
        raise DeployError(f"Kafka refuses to create {name}: {error.args[0].str()}") from error
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        found = admin.list_topics(name, timeout=TIMEOUT_SECONDS).topics[name].partitions
        if len(found) == partitions and all(each.leader >= 0 for each in found.values()):
            return
        time.sleep(0.05)
    raise DeployError(f"{name} has no leader after {TIMEOUT_SECONDS:.0f} s")


class Feed:
    """A producer for one topic; ``confirmed`` counts the acknowledged records. Raises ``DeployError``."""

    def __init__(self, client: Mapping[str, Any], topic: str) -> None:
        self._topic = topic
        self._encoder = msgspec.json.Encoder()
        self._producer = Producer(
            {
                "log_level": 2,
                **client,
                "enable.idempotence": True,
                "linger.ms": 5,
                "compression.type": "lz4",
                "partitioner": "murmur2_random",
            }
        )
        self._error: KafkaError | None = None
        self.confirmed = 0

    def send(self, rows: Iterable[tuple[int, str, float]]) -> None:
        """Produce rows of time (epoch ms), series and value, without waiting for acknowledgements."""
        for event_time, series, value in rows:
            record = self._encoder.encode({"time": event_time, "series": series, "value": value})
            while True:
                try:
                    self._producer.produce(self._topic, record, series, on_delivery=self._delivered)
                    break
                except BufferError:
                    self._producer.poll(0.1)
            self._producer.poll(0)
        self._raise_error()

    def flush(self) -> None:
        """Wait until everything is acknowledged."""
        left = self._producer.flush(TIMEOUT_SECONDS)
        self._raise_error()
        if left:
            raise DeployError(f"Kafka has not acknowledged {left} records after {TIMEOUT_SECONDS:.0f} s")

    def _delivered(self, error: KafkaError | None, _message: Message) -> None:
        if error is None:
            self.confirmed += 1
        else:
            self._error = error

    def _raise_error(self) -> None:
        if self._error is not None:
            raise DeployError(f"Kafka refuses a record: {self._error.str()}")
