"""One Riverwatch with one worker for all tests of this folder, and what they ask it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from confluent_kafka import Message

from tests.cluster import Cluster
from tests.conftest import Broker
from tests.deadlines import EVENT

START = 1_700_000_040_000
"""A whole minute."""


@pytest.fixture(scope="package")
def cluster(broker: Broker) -> Iterator[Cluster]:
    """A running Riverwatch."""
    with Cluster(broker.bootstrap, f"scan-{uuid.uuid4().hex[:6]}.", statistics_interval=0.2) as running:
        worker = running.start_worker()
        yield running
        assert worker.stop() == 0, "\n".join(worker.lines[-60:])


def points(seconds: range, *, host: str = "a", value: float = 1.0) -> list[dict[str, Any]]:
    """One record a second of one host."""
    return [{"time": START + second * 1000, "host": host, "value": value} for second in seconds]


def interleaved(seconds: range, hosts: str, value: float = 1.0) -> list[dict[str, Any]]:
    """One record a second of each host, in the order of time."""
    return [
        point
        for second in seconds
        for host in hosts
        for point in points(range(second, second + 1), host=host, value=value)
    ]


def analyse(cluster: Cluster, detector: str, start: int, end: int) -> str:
    """Start an analysis; its task id."""
    reply = cluster.command("history.start", detector, start_time=start, end_time=end)
    assert reply["error"] is None, reply
    return str(reply["id"])


Tasks = dict[str, dict[str, Any]]


def tasks(cluster: Cluster, enough: Callable[[Tasks], bool], seconds: float = EVENT) -> Tasks:
    """The newest task documents by id, once they satisfy ``enough``."""
    found: Tasks = {}
    seen = 0

    def fold(messages: list[Message]) -> bool:
        nonlocal seen
        for message in messages[seen:]:
            key = message.key().decode()
            if message.value() is None:
                found.pop(key, None)
            elif (document := json.loads(message.value()))["kind"] == "task":
                found[key] = document["document"]
        seen = len(messages)
        return enough(found)

    cluster.read("state", fold, seconds)
    return found


def ended(cluster: Cluster, task: str, seconds: float = EVENT) -> dict[str, Any]:
    """The task's document once it has ended."""
    states = ("FINISHED", "STOPPED", "FAILED")
    return tasks(cluster, lambda found: found.get(task, {}).get("state") in states, seconds)[task]


def of_task(results: dict[str, dict[str, Any]], task: str) -> dict[str, dict[str, Any]]:
    """The results of one analysis, by entity and window end."""
    return {key.removeprefix(task + "|"): value for key, value in results.items() if value.get("task_id") == task}
