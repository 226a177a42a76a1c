"""Kill the workers of a historical analysis at any time: the results are those of an undisturbed one."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.cluster import Cluster, without_wall_clock
from tests.conftest import Broker, TopicUnderTest
from tests.deadlines import SLOW_TEST
from tests.streams.scan.conftest import analyse, ended, tasks

HOSTS = 40
START = 1_700_000_040_000


def record(number: int) -> dict[str, object]:
    """Ten records a second and host, in event time."""
    host = number % HOSTS
    noise = random.Random(number).gauss(0, 1)
    value = 50 + host + noise + (20 if number % 4001 < 40 else 0)
    return {"time": START + (number // HOSTS) * 100, "host": f"host-{host}", "value": value}


def values(cluster: Cluster, detector: str, task: str, enough: int) -> dict[str, dict[str, Any]]:
    """What an analysis came to, by entity and window end, without what differs from task to task."""
    found = without_wall_clock(cluster.results(detector, enough))
    return {
        key.removeprefix(task): {name: value for name, value in result.items() if name not in ("id", "task_id")}
        for key, result in found.items()
    }


def run(
    broker: Broker, prefix: str, new_topic: Callable[..., TopicUnderTest], *, kills: int, seconds: int, records: int
) -> None:
    """``records`` is how many the disturbed workers take in at a time: small slices last longer."""
    topic = new_topic(prefix + "metrics", partitions=4)
    total = HOSTS * 10 * seconds
    dice = random.Random(kills)
    bounds = (START, START + seconds * 1000)
    expected = HOSTS * (seconds - 1)
    with (
        Cluster(
            broker.bootstrap, prefix + "a.", source_checkpoint_interval=0.5, statistics_interval=0.2, scan_slice=records
        ) as disturbed,
        Cluster(broker.bootstrap, prefix + "b.") as undisturbed,
    ):
        disturbed.produce(topic.name, map(record, range(total)))
        workers = [disturbed.start_worker(), disturbed.start_worker()]
        detector = disturbed.create(topic.name, detector_id="same")
        task = analyse(disturbed, detector, *bounds)
        for _ in range(kills):
            tasks(disturbed, lambda found: found.get(task, {}).get("task_progress", 0) > 0.02)
            time.sleep(dice.uniform(0.3, 2.0))
            victim = dice.randrange(len(workers))
            workers[victim].kill()
            workers[victim] = disturbed.start_worker()
        document = ended(disturbed, task)
        resumed = [line for worker in disturbed.workers for line in worker.lines if "scan begins" in line]
        assert document["state"] == "FINISHED"
        assert len(resumed) > 4, "no scan was interrupted: the test proves nothing"
        got = values(disturbed, detector, task, expected)
        for worker in workers:
            assert worker.stop() == 0

        undisturbed.start_worker()
        undisturbed.create(topic.name, detector_id=detector)
        other = analyse(undisturbed, detector, *bounds)
        assert ended(undisturbed, other)["state"] == "FINISHED"
        wanted = values(undisturbed, detector, other, expected)
    assert len(wanted) == expected
    assert got == wanted


def test_a_killed_analysis_comes_to_the_same_results(
    broker: Broker, topic_prefix: str, new_topic: Callable[..., TopicUnderTest]
) -> None:
    run(broker, topic_prefix, new_topic, kills=1, seconds=200, records=20)


@pytest.mark.slow
@pytest.mark.timeout(SLOW_TEST)
def test_an_analysis_that_is_killed_five_times_comes_to_the_same_results(
    broker: Broker, topic_prefix: str, new_topic: Callable[..., TopicUnderTest]
) -> None:
    run(broker, topic_prefix, new_topic, kills=5, seconds=1500, records=50)
