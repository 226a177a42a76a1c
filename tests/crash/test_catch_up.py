"""Rebalances while a run catches up with its source: one reader at a time, and every record once."""

from __future__ import annotations

import random
import time
from collections import defaultdict
from collections.abc import Callable

import pytest

from tests.cluster import Cluster, WorkerProcess
from tests.conftest import Broker, TopicUnderTest
from tests.crash.test_kill import stop
from tests.deadlines import SLOW_TEST
from tests.live import until

HOSTS = 40
SECONDS = 6_000
START = 1_700_000_040_000  # a whole minute
MINUTE = {"period": {"interval": 1, "unit": "Minutes"}}


def value(number: int) -> float:
    return float(number % 1_009)


def record(number: int) -> dict[str, object]:
    """One record a second and host, in event time."""
    return {"time": START + number // HOSTS * 1000, "host": f"h{number % HOSTS}", "value": value(number)}


def means() -> dict[tuple[str, int], float]:
    """What each window must come to."""
    windows: dict[tuple[str, int], list[float]] = defaultdict(list)
    for number in range(HOSTS * SECONDS):
        end = START + (number // HOSTS // 60 + 1) * 60_000
        windows[f"h{number % HOSTS}", end].append(value(number))
    return {key: sum(values) / len(values) for key, values in windows.items()}


@pytest.mark.slow
@pytest.mark.timeout(SLOW_TEST)
def test_workers_that_come_and_go_while_runs_catch_up_change_nothing(
    broker: Broker, topic_prefix: str, new_topic: Callable[..., TopicUnderTest]
) -> None:
    topic, wanted = new_topic(topic_prefix + "m", partitions=4), means()
    dice = random.Random(1)
    with Cluster(broker.bootstrap, topic_prefix + "own.", idle_timeout=5, source_checkpoint_interval=0.5) as cluster:
        workers = [cluster.start_worker()]
        live = cluster.create(topic.name, detection_interval=MINUTE)
        cluster.start(live)
        cluster.produce(topic.name, map(record, range(HOSTS * SECONDS)))
        assert until(cluster, live, wanted) == pytest.approx(wanted)
        # The topic is read to its end by now: whoever is interested in its past reads it beside that.
        detectors = []
        for end in [stop, WorkerProcess.kill] * 3:
            for _ in range(3):
                detectors.append(cluster.create(topic.name, detection_interval=MINUTE))
                cluster.start(detectors[-1], **{"from": "earliest"})
            workers.append(cluster.start_worker())
            time.sleep(dice.uniform(0.0, 1.0))
            end(workers.pop(dice.randrange(2)))
        for detector in detectors:
            assert until(cluster, detector, wanted) == pytest.approx(wanted)
        for worker in workers:
            stop(worker)
        lines = [line for worker in cluster.workers for line in worker.lines]
        assert sum("run has caught up" in line for line in lines) > 4
        assert not [line for line in lines if "worker failed" in line]
