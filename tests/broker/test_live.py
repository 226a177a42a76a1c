"""Live producers, and what may be wrong with them, their clocks, their transactions and ours: nothing is lost, nothing
is changed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from confluent_kafka import TopicPartition

from tests import kafka
from tests.cluster import Cluster
from tests.conftest import Broker, TopicUnderTest
from tests.deadlines import REQUEST, SLOW_TEST
from tests.live import LiveProducer, dead_letters, error_of, passed, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(SLOW_TEST)]

NewTopic = Callable[..., TopicUnderTest]

HOUR_MS = 3_600_000


@contextmanager
def live(broker: Broker, prefix: str, *, clock: float = 0.0, **settings: object) -> Iterator[Cluster]:
    """A Riverwatch in which only the clock of live sources closes windows, and waits for a producer that a busy
    machine holds up."""
    given: dict[str, Any] = {"tick_grace": 5, "idle_timeout": 100_000, "statistics_interval": 0.5, **settings}
    with Cluster(broker.bootstrap, prefix + "own.", **given) as cluster:
        worker = cluster.start_worker(clock=clock)
        yield cluster
        assert cluster.workers[-1].stop() == 0
        assert not any("worker failed" in line for line in worker.lines)


@pytest.mark.parametrize("clock", [-3600.0, 3600.0])
def test_neither_a_wrong_clock_nor_a_producer_that_is_ahead_changes_anything(
    broker: Broker, new_topic: NewTopic, topic_prefix: str, clock: float
) -> None:
    topic = new_topic(topic_prefix + "m")
    with live(broker, topic_prefix, clock=clock) as cluster:
        detector = cluster.create(topic.name)
        cluster.start(detector)
        producer = LiveProducer(broker.bootstrap, topic.name, ["a", "b", "ahead"], ahead={"ahead": 540_000})
        passed(producer, 30)
        wanted = {key: mean for key, mean in producer.stop().items() if key[0] != "ahead"}
        found = until(cluster, detector, wanted)
        assert {key: found[key] for key in wanted} == pytest.approx(wanted)
        assert len(wanted) > 40
        assert dead_letters(cluster, topic.name) == []


def test_aborted_transactions_do_not_count_in_real_time(broker: Broker, new_topic: NewTopic, topic_prefix: str) -> None:
    topic = new_topic(topic_prefix + "m")
    producer = kafka.producer(broker.bootstrap, transactional_id=topic.name)
    producer.init_transactions(REQUEST)
    ends: set[int] = set()

    def write(value: float) -> int:
        now = int(time.time() * 1000)
        producer.produce(topic.name, b'{"time":%d,"host":"a","value":%f}' % (now, value), key="a")
        return (now // 1000 + 1) * 1000

    with live(broker, topic_prefix) as cluster:
        detector = cluster.create(topic.name)
        cluster.start(detector)
        begun = time.monotonic()
        while time.monotonic() - begun < 20:
            producer.begin_transaction()
            ends.add(write(12.0))
            producer.commit_transaction(REQUEST)
            producer.begin_transaction()
            write(12_012.0)
            assert producer.flush(REQUEST) == 0  # it is there, and readable for those who do not wait
            time.sleep(0.1)
            producer.abort_transaction(REQUEST)
        whole = {("a", end) for end in sorted(ends)[3:-1]}
        found = until(cluster, detector, whole)
        assert {found[key] for key in whole} == {12.0}
        assert len(whole) > 5


def test_a_live_partition_that_ends_with_a_marker_holds_nobody_back(
    broker: Broker, new_topic: NewTopic, topic_prefix: str
) -> None:
    topic = new_topic(topic_prefix + "m", partitions=2)
    transactions = kafka.producer(broker.bootstrap, transactional_id=topic.name)
    transactions.init_transactions(REQUEST)
    with live(broker, topic_prefix) as cluster:
        detector = cluster.create(topic.name)
        cluster.start(detector)
        producer = LiveProducer(broker.bootstrap, topic.name, ["a"])
        partition = next(message.partition() for message in topic.consume(1))
        transactions.begin_transaction()
        for number in range(3):
            now = int(time.time() * 1000) + number
            transactions.produce(topic.name, b'{"time":%d,"host":"x","value":1}' % now, partition=1 - partition)
        transactions.commit_transaction(REQUEST)
        passed(producer, 15)
        wanted = producer.stop()
        found = until(cluster, detector, wanted)
        assert {key: found[key] for key in wanted} == pytest.approx(wanted)


def test_a_live_partition_with_times_an_hour_old_is_named_and_not_waited_for(
    broker: Broker, new_topic: NewTopic, topic_prefix: str
) -> None:
    topic = new_topic(topic_prefix + "m", partitions=2)
    with live(broker, topic_prefix, idle_timeout=3, trailing_limit=600) as cluster:
        detector = cluster.create(topic.name)
        cluster.start(detector)
        producer = LiveProducer(
            broker.bootstrap, topic.name, ["a", "old"], ahead={"old": -HOUR_MS}, partitions={"a": 0, "old": 1}
        )
        passed(producer, 25)
        wanted = {key: mean for key, mean in producer.stop().items() if key[0] == "a"}
        found = until(cluster, detector, wanted)
        assert {key: found[key] for key in wanted} == pytest.approx(wanted)
        error_of(cluster, detector, f"{topic.name}/1 is read to its end and far behind the other sources")


def test_a_partition_whose_unread_records_expired_holds_nobody_back(
    broker: Broker, new_topic: NewTopic, topic_prefix: str
) -> None:
    topic = new_topic(topic_prefix + "m", partitions=2)
    with live(broker, topic_prefix) as cluster:
        detector = cluster.create(topic.name)
        cluster.start(detector)
        now = int(time.time() * 1000)
        for partition in range(2):
            cluster.produce(topic.name, [{"time": now, "host": f"h{partition}", "value": 1.0}], partition=partition)
        cluster.results(detector, 2)
        assert cluster.workers[-1].stop() == 0
        topic.produce_all([(None, b'{"time":%d,"host":"x","value":1}' % now)] * 20, partition=1)
        for future in broker.admin().delete_records([TopicPartition(topic.name, 1, 21)]).values():
            future.result(REQUEST)
        cluster.start_worker()
        now = int(time.time() * 1000)
        cluster.produce(topic.name, [{"time": now, "host": "h0", "value": 2.0}], partition=0)
        until(cluster, detector, [("h0", (now // 1000 + 1) * 1000)])
        error_of(cluster, detector, "20 records", "deleted")


def test_producers_that_flush_every_few_seconds_lose_nothing_once_that_is_known(
    broker: Broker, new_topic: NewTopic, topic_prefix: str
) -> None:
    topic = new_topic(topic_prefix + "m")
    # The grace of other tests would hide what is shown here.
    with live(broker, topic_prefix, tick_grace=0.5) as cluster:
        detector = cluster.create(topic.name, detection_interval={"period": {"interval": 10, "unit": "Seconds"}})
        cluster.start(detector)
        producer = LiveProducer(broker.bootstrap, topic.name, ["a", "b"], interval_ms=10_000, flush=4.0)
        passed(producer, 8)
        wanted = producer.stop()
        found = until(cluster, detector, wanted)
        assert {key: found[key] for key in wanted} == pytest.approx(wanted)
        assert len(wanted) > 6
