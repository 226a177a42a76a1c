"""Kill anything at any time: the results are the same set."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.cluster import Cluster, WorkerProcess, flowing, without_wall_clock
from tests.conftest import Broker, TopicUnderTest
from tests.deadlines import SLOW_TEST

HOSTS = 50
START = 1_700_000_000_000


def record(number: int) -> dict[str, object]:
    """Ten records a second and host, in event time; every host has a shift of its own somewhere."""
    host = number % HOSTS
    time_ms = START + (number // HOSTS) * 100
    noise = random.Random(number).gauss(0, 1)
    return {"time": time_ms, "host": f"host-{host}", "value": 50 + host + noise + (20 if number % 4001 < 40 else 0)}


def run(
    broker: Broker,
    prefix: str,
    new_topic: Callable[..., TopicUnderTest],
    *,
    kills: int,
    seconds: int,
    pause: tuple[float, float],
    interval: int = 1,
    end: Callable[[WorkerProcess], object] = WorkerProcess.kill,
) -> None:
    """``end`` is what becomes of a worker ``kills`` times, after a pause (seconds) each; another takes its place."""
    topic = new_topic(prefix + "metrics", partitions=4)
    total = HOSTS * 10 * seconds
    dice = random.Random(kills)

    def produce() -> None:
        step = 2_000
        for begin in range(0, total, step):
            disturbed.produce(topic.name, (record(number) for number in range(begin, min(begin + step, total))))
            time.sleep(kills * sum(pause) / 2 * step / total)
        # More than a minute of records far ahead on each partition closes every window before them.
        ends = [{"time": START + 10**8 + 40_000 * number, "host": "end", "value": 0} for number in range(5)]
        for partition in range(4):
            disturbed.produce(topic.name, ends, partition=partition)

    first, last = START // (1000 * interval), (START + 1000 * seconds - 1) // (1000 * interval)
    expected = HOSTS * (last - first + 1)
    members = {"detection_interval": {"period": {"interval": interval, "unit": "Seconds"}}}
    with (
        # Records so small that windows and checkpoints come in pieces, which a kill may cut off half way.
        Cluster(
            broker.bootstrap,
            prefix + "a.",
            idle_timeout=1000,
            source_checkpoint_interval=1,
            model_checkpoint_windows=8,
            record_bytes=200,
        ) as disturbed,
        Cluster(broker.bootstrap, prefix + "b.", idle_timeout=1000) as undisturbed,
    ):
        workers = [disturbed.start_worker()]
        detector = disturbed.create(topic.name, detector_id="same", **members)
        disturbed.start(detector)
        with flowing(produce):
            for kill in range(kills):
                time.sleep(dice.uniform(*pause))
                if kill == kills // 2:
                    workers.append(disturbed.start_worker())
                victim = dice.randrange(len(workers))
                end(workers[victim])
                workers[victim] = disturbed.start_worker(wait=len(workers) == 1)
        got = without_end(disturbed.results(detector, lambda found: len(without_end(found)) >= expected))
        for worker in workers:
            worker.wait_until_ready()
            assert worker.stop() == 0

        undisturbed.start_worker()
        undisturbed.create(topic.name, detector_id=detector, **members)
        undisturbed.start(detector, **{"from": "earliest"})
        wanted = without_end(undisturbed.results(detector, lambda found: len(without_end(found)) >= expected))
    assert len(wanted) == expected
    assert without_wall_clock(got) == without_wall_clock(wanted)


def without_end(results: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The results of the hosts, not of what closes their last windows."""
    return {key: result for key, result in results.items() if "|end|" not in key}


def test_two_kills_change_no_result(
    broker: Broker, topic_prefix: str, new_topic: Callable[..., TopicUnderTest]
) -> None:
    run(broker, topic_prefix, new_topic, kills=2, seconds=60, pause=(1.0, 4.0))


@pytest.mark.slow
@pytest.mark.timeout(SLOW_TEST)
def test_ten_kills_with_two_workers_for_half_of_them_change_no_result(
    broker: Broker, topic_prefix: str, new_topic: Callable[..., TopicUnderTest]
) -> None:
    run(broker, topic_prefix, new_topic, kills=10, seconds=600, pause=(2.0, 10.0))


def stop(worker: WorkerProcess) -> None:
    """A graceful stop, which is over before the next worker starts."""
    assert worker.stop() == 0


@pytest.mark.slow
@pytest.mark.timeout(SLOW_TEST)
def test_graceful_stops_lose_nothing_that_models_learned(
    broker: Broker, topic_prefix: str, new_topic: Callable[..., TopicUnderTest]
) -> None:
    run(broker, topic_prefix, new_topic, kills=10, seconds=300, pause=(1.0, 5.0), end=stop)


@pytest.mark.slow
@pytest.mark.timeout(SLOW_TEST)
def test_long_windows_survive_kills(
    broker: Broker, topic_prefix: str, new_topic: Callable[..., TopicUnderTest]
) -> None:
    run(broker, topic_prefix, new_topic, kills=4, seconds=2400, pause=(2.0, 10.0), interval=600)
