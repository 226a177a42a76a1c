"""Workers that stop and a Kafka that is away in the middle of an analysis."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.local_kafka.broker import LocalBroker, free_port
from tests.cluster import Cluster
from tests.conftest import Broker, TopicUnderTest
from tests.deadlines import EVENT, SLOW_TEST
from tests.streams.scan.conftest import START, analyse, ended, interleaved, of_task, tasks

SECONDS = 4_000
END = START + SECONDS * 1000
SLOW = {"statistics_interval": 0.2, "scan_slice": 1, "source_checkpoint_interval": 0.5}


@pytest.mark.parametrize("seconds", [15, pytest.param(60, marks=[pytest.mark.slow, pytest.mark.timeout(SLOW_TEST)])])
def test_an_analysis_goes_on_when_kafka_is_back(tmp_path: Path, seconds: int) -> None:
    port = free_port()
    with LocalBroker(port, tmp_path, quick=True, heap="384m", patience=EVENT) as kafka:
        cluster = Cluster(kafka.bootstrap, "outage.", **SLOW)
        cluster.__enter__()
        worker = cluster.start_worker()
        Broker(kafka.bootstrap).create_topic("metrics", 2)
        cluster.produce("metrics", interleaved(range(SECONDS), "ab"))
        detector = cluster.create("metrics")
        task = analyse(cluster, detector, START, END)
        tasks(cluster, lambda found: found.get(task, {}).get("task_progress", 0) > 0.05)
    try:
        time.sleep(seconds)
        with LocalBroker(port, tmp_path, quick=True, heap="384m", patience=EVENT):
            assert ended(cluster, task)["state"] == "FINISHED"
            assert len(of_task(cluster.results(detector, 2 * (SECONDS - 1)), task)) == 2 * (SECONDS - 1)
            assert worker.alive()
            assert worker.stop() == 0
    finally:
        cluster.__exit__(None, None, None)


def test_the_coordinating_worker_may_stop(
    broker: Broker, topic_prefix: str, new_topic: Callable[..., TopicUnderTest]
) -> None:
    topic = new_topic(topic_prefix + "m", partitions=2)
    with Cluster(broker.bootstrap, topic_prefix + "own.", **SLOW) as cluster:
        cluster.produce(topic.name, interleaved(range(SECONDS), "ab"))
        workers = [cluster.start_worker(), cluster.start_worker()]
        detector = cluster.create(topic.name)
        task = analyse(cluster, detector, START, END)
        tasks(cluster, lambda found: found.get(task, {}).get("task_progress", 0) > 0.05)
        coordinating = [worker for worker in workers if any("coordinator begins" in line for line in worker.lines)]
        assert coordinating[-1].stop() == 0
        assert ended(cluster, task)["state"] == "FINISHED"
        assert len(of_task(cluster.results(detector, 2 * (SECONDS - 1)), task)) == 2 * (SECONDS - 1)
