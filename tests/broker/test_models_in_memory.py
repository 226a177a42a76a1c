"""More entities than models fit into memory: the results are the same, through a stop and a crash, too."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import Message

from schemas.node import decode_node
from tests.cluster import Cluster
from tests.conftest import Broker, TopicUnderTest
from tests.streams.scan.conftest import analyse, ended

START = 1_700_000_000_000
HOSTS = 60
MOST = 8
SECONDS = 480


def records(seconds: range) -> list[dict[str, Any]]:
    """Each host is there for some seconds, away for long, and comes again."""
    return [
        {"time": START + second * 1000, "host": f"h{host}", "value": random.Random(second * HOSTS + host).gauss(10, 1)}
        for second in seconds
        for host in range(HOSTS)
        if (second // 10 + host) % 12 == 0
    ]


def entities(cluster: Cluster, detector: str) -> tuple[int, int]:
    """Models in the memory of the newest worker, and entities that it knows, once it has said how many."""
    found: list[tuple[int, int]] = []

    def settled(messages: list[Message]) -> bool:
        if messages:
            node = decode_node(messages[-1].value() or b"")
            known = sum(run.entities for run in node.runs if run.detector_id == detector)
            found.append((node.model_count, known))
        return bool(found) and found[-1][0] <= MOST and found[-1][1] == HOSTS

    cluster.read("nodes", settled)
    return found[-1]


@pytest.mark.parametrize("crash", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_models_that_leave_memory_change_no_result(
    broker: Broker, topic_prefix: str, new_topic: Callable[..., TopicUnderTest], crash: bool
) -> None:
    topic = new_topic(topic_prefix + "m", partitions=2)
    with Cluster(
        broker.bootstrap, topic_prefix + "own.", statistics_interval=0.2, idle_timeout=1000, models_in_memory=MOST
    ) as cluster:
        worker = cluster.start_worker()
        detector = cluster.create(topic.name)
        cluster.start(detector)
        cluster.produce(topic.name, records(range(240)))
        assert entities(cluster, detector)[0] <= MOST
        if crash:
            worker.kill()
        else:
            assert worker.stop() == 0
        worker = cluster.start_worker()
        cluster.produce(topic.name, records(range(240, SECONDS)))
        for partition in range(2):
            cluster.produce(
                topic.name, [{"time": START + SECONDS * 1000, "host": "clock", "value": 0}], partition=partition
            )
        live = verdicts(cluster.results(detector, len(records(range(SECONDS)))), detector)
        # An analysis has all of its models in memory, and comes to what real time comes to.
        task = analyse(cluster, detector, START, START + SECONDS * 1000)
        assert ended(cluster, task)["state"] == "FINISHED"
        whole = verdicts(cluster.results(detector, 2 * len(live)), task)
        assert worker.stop() == 0
    assert len(live) == len(records(range(SECONDS)))
    assert live == whole
    assert any(score > 0 for score, *_ in live.values())


def verdicts(found: dict[str, dict[str, Any]], owner: str) -> dict[str, tuple[float, ...]]:
    """What was said about each window, by entity and window end, in real time or by an analysis."""
    members = ("anomaly_score", "anomaly_grade", "confidence", "threshold")
    return {
        key.partition("|")[2]: tuple(result.get(member, -1.0) for member in members)
        for key, result in found.items()
        if key.startswith(owner + "|")
    }
