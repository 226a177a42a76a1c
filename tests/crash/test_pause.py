"""Stop a worker for longer than its session lasts and let it go on: what it still writes changes nothing."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Iterator

import pytest

from schemas.checkpoint import decode_source
from streams.fencing.fence import Fold, parse_key
from tests.cluster import Cluster, flowing, without_wall_clock
from tests.conftest import Broker, TopicUnderTest
from tests.crash.test_kill import without_end
from tests.deadlines import SLOW_TEST

HOSTS = 100
SECONDS = 300
START = 1_700_000_000_000
PAUSE = 12.0
"""Seconds: twice the session timeout of the tests' workers."""


def record(number: int) -> dict[str, object]:
    """Two records a second and host, in event time."""
    host = number % HOSTS
    return {
        "time": START + (number // HOSTS) * 500,
        "host": f"host-{host}",
        "value": 50 + host + random.Random(number).gauss(0, 1) + (20 if number % 4001 < 40 else 0),
    }


def offsets(cluster: Cluster) -> Iterator[list[int]]:
    """For each source the offsets of its checkpoints that counted when they were written, in this order."""
    folds: dict[str, Fold] = {}
    found: dict[str, list[int]] = {}
    for message in TopicUnderTest(cluster.bootstrap, cluster.prefix + "windows", 1).everything():
        text = message.key().decode()
        key = parse_key(text)
        assert key is not None
        fold = folds.setdefault(key.share, Fold(key.share))
        before = fold.held.get(key.name)
        fold.add(message.offset(), text, message.value())
        after = fold.held.get(key.name)
        if after is not before and after is not None and after.value is not None:
            found.setdefault(key.share, []).append(decode_source(after.value).offset)
    yield from found.values()


@pytest.mark.slow
@pytest.mark.timeout(SLOW_TEST)
def test_workers_that_were_paused_for_longer_than_their_session_change_nothing(
    broker: Broker, topic_prefix: str, new_topic: Callable[..., TopicUnderTest]
) -> None:
    topic = new_topic(topic_prefix + "metrics", partitions=4)
    total = HOSTS * 2 * SECONDS

    def produce() -> None:
        step = total // 60
        for begin in range(0, total, step):
            disturbed.produce(topic.name, map(record, range(begin, begin + step)))
            time.sleep(1.0)
        # More than a minute of records far ahead on each partition closes every window before them.
        ends = [{"time": START + 10**8 + 40_000 * number, "host": "end", "value": 0} for number in range(5)]
        for partition in range(4):
            disturbed.produce(topic.name, ends, partition=partition)

    expected = HOSTS * SECONDS
    with (
        Cluster(
            broker.bootstrap,
            topic_prefix + "a.",
            idle_timeout=1000,
            source_checkpoint_interval=0.5,
            model_checkpoint_windows=8,
        ) as disturbed,
        Cluster(broker.bootstrap, topic_prefix + "b.", idle_timeout=1000) as undisturbed,
    ):
        workers = [disturbed.start_worker(), disturbed.start_worker()]
        detector = disturbed.create(topic.name, detector_id="same")
        disturbed.start(detector)
        with flowing(produce):
            for worker in workers:
                time.sleep(5.0)
                os.kill(worker.pid, signal.SIGSTOP)
                time.sleep(PAUSE)
                os.kill(worker.pid, signal.SIGCONT)
        got = without_end(disturbed.results(detector, lambda found: len(without_end(found)) >= expected))
        for worker in workers:
            assert worker.stop() == 0
        for each in offsets(disturbed):
            assert each == sorted(each)
            assert len(each) > 10

        undisturbed.start_worker()
        undisturbed.create(topic.name, detector_id=detector)
        undisturbed.start(detector, **{"from": "earliest"})
        wanted = without_end(undisturbed.results(detector, lambda found: len(without_end(found)) >= expected))
    assert len(wanted) == expected
    assert without_wall_clock(got) == without_wall_clock(wanted)
