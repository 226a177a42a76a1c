"""A detector whose analysis had so many entities that one record could not name their tasks."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from confluent_kafka import Message

from schemas.state import StoredTask, encode
from schemas.task import Task
from tests.broker.records import START, points
from tests.cluster import Cluster
from tests.conftest import Broker, TopicUnderTest
from tests.deadlines import SLOW_TEST
from tests.streams.scan.conftest import analyse, ended

ENTITIES = 60_000
"""Their ids alone are three times as long as the largest record of Kafka's default, and Riverwatch may write."""


def entity_task(number: int, parent: str, detector: str) -> tuple[bytes, bytes]:
    """A record of the topic ``state`` as a scorer writes it."""
    name = f"{number:060d}"
    task = Task(
        task_type="HISTORICAL_HC_ENTITY",
        state="FINISHED",
        detector_id=detector,
        parent_task_id=parent,
        execution_start_time=START,
        last_update_time=START,
    )
    return name.encode(), encode(StoredTask(id=name, version=1, control_offset=0, document=task))


def left(messages: list[Message], parent: str) -> int:
    """How many tasks of a parent there still are."""
    found: set[bytes] = set()
    for message in messages:
        if message.value() is None:
            found.discard(message.key())
        elif json.loads(message.value()).get("document", {}).get("parent_task_id") == parent:
            found.add(message.key())
    return len(found)


@pytest.mark.slow
@pytest.mark.timeout(SLOW_TEST)
def test_a_detector_with_very_many_entity_tasks_is_deleted_also_by_a_worker_that_takes_over(
    broker: Broker, new_topic: Callable[..., TopicUnderTest], topic_prefix: str
) -> None:
    topic = new_topic(topic_prefix + "m")
    with Cluster(broker.bootstrap, topic_prefix + "own.") as cluster:
        worker = cluster.start_worker()
        cluster.produce(topic.name, points(range(40)))
        detector, other = cluster.create(topic.name), cluster.create(topic.name)
        task = analyse(cluster, detector, START, START + 39_000)
        assert ended(cluster, task)["state"] == "FINISHED"
        state = TopicUnderTest(broker.bootstrap, cluster.prefix + "state", 1)
        state.produce_all([entity_task(number, task, detector) for number in range(ENTITIES)])
        assert left(cluster.everything("state"), task) >= ENTITIES
        assert cluster.command("detector.delete", detector)["error"] is None
        worker.kill()  # half way: there are 30 transactions to do
        worker = cluster.start_worker()
        gone = 0

        def all_gone(messages: list[Message]) -> bool:
            nonlocal gone
            gone = sum(message.value() is None for message in messages)
            return gone >= ENTITIES

        cluster.read("state", all_gone)
        assert left(cluster.everything("state"), task) == 0
        # Its successor carries out commands all the while.
        cluster.start(other)
        cluster.produce(topic.name, points(range(100, 102)))
        cluster.results(other, 1)
        assert worker.stop() == 0
        assert not [line for each in cluster.workers for line in each.lines if "worker failed" in line]
