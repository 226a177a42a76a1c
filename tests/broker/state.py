"""What the topic ``state`` comes to."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from confluent_kafka import Message

from tests.cluster import Cluster


def newest(cluster: Cluster, key: str, enough: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The newest state document under a key once it satisfies ``enough``."""
    document: dict[str, Any] = {}

    def fold(messages: list[Message]) -> bool:
        for message in messages:
            if message.key() == key.encode() and message.value() is not None:
                document.clear()
                document.update(json.loads(message.value()))
        return bool(document) and enough(document)

    cluster.read("state", fold)
    return document


def tasks(cluster: Cluster, detector: str, enough: Callable[[list[dict[str, Any]]], bool]) -> list[dict[str, Any]]:
    """The detector's task documents by age, once they satisfy ``enough``."""
    found: dict[bytes, dict[str, Any]] = {}

    def fold(messages: list[Message]) -> bool:
        for message in messages:
            if message.value() is None:
                found.pop(message.key(), None)
                continue
            document = json.loads(message.value())
            if document["kind"] == "task" and document["document"]["detector_id"] == detector:
                found[message.key()] = document["document"]
        return enough(list(found.values()))

    cluster.read("state", fold)
    return list(found.values())
