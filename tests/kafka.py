"""Kafka clients for tests: what librdkafka has to say is in the log of the test, which pytest shows when it fails."""

from __future__ import annotations

import logging

from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient

log = logging.getLogger("librdkafka")


def producer(bootstrap: str, **config: object) -> Producer:
    """A producer that keeps to the key's partition as all clients do; ``config`` has underscores for dots."""
    given = {"partitioner": "murmur2_random", "acks": "all", "linger.ms": 5, **_dotted(config)}
    return Producer({"bootstrap.servers": bootstrap, **given}, logger=log)


def consumer(bootstrap: str, **config: object) -> Consumer:
    """A consumer for ``assign``, which commits nothing; ``config`` has underscores for dots."""
    given = {"group.id": "test", "enable.auto.commit": False, "fetch.wait.max.ms": 50, **_dotted(config)}
    return Consumer({"bootstrap.servers": bootstrap, **given}, logger=log)


def admin(bootstrap: str) -> AdminClient:
    """A client to create, describe and delete topics; to be kept until its answers are there."""
    return AdminClient({"bootstrap.servers": bootstrap}, logger=log)


def _dotted(config: dict[str, object]) -> dict[str, object]:
    return {name.replace("_", "."): value for name, value in config.items()}
