"""Topics that change under a live producer and a running detector."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

import pytest
from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import NewPartitions

from tests.broker.test_live import live
from tests.conftest import Broker, TopicUnderTest
from tests.deadlines import REQUEST, SLOW_TEST, eventually
from tests.live import LiveProducer, error_of, passed, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(SLOW_TEST)]

NewTopic = Callable[..., TopicUnderTest]

HOSTS = [f"h{number}" for number in range(8)]
DELAY = {"period": {"interval": 20, "unit": "Seconds"}}
"""Long enough for a busy machine to find a partition in."""


def test_partitions_that_are_added_to_a_live_topic_lose_nothing_within_the_window_delay(
    broker: Broker, new_topic: NewTopic, topic_prefix: str
) -> None:
    topic = new_topic(topic_prefix + "m", partitions=2)
    with live(broker, topic_prefix) as cluster:
        detector = cluster.create(topic.name, window_delay=DELAY)
        cluster.start(detector)
        producer = LiveProducer(broker.bootstrap, topic.name, HOSTS, topic_metadata_refresh_interval_ms=200)
        passed(producer, 10)
        for future in broker.admin().create_partitions([NewPartitions(topic.name, 5)]).values():
            future.result(REQUEST)
        passed(producer, 20)
        wanted = producer.stop()
        found = until(cluster, detector, wanted)
        assert {key: found[key] for key in wanted} == pytest.approx(wanted)
        ends = TopicUnderTest(topic.bootstrap, topic.name, 5).ends()
        assert all(high > 0 for _, high in ends[2:]), "no host has moved to a new partition: nothing is proved"


def test_records_that_retention_takes_from_a_reader_that_lags_are_told(
    broker: Broker, new_topic: NewTopic, topic_prefix: str
) -> None:
    topic = new_topic(topic_prefix + "m")
    with live(broker, topic_prefix, session_timeout=300) as cluster:
        detector = cluster.create(topic.name)
        cluster.start(detector)
        producer = LiveProducer(broker.bootstrap, topic.name)
        cluster.results(detector, 10)
        worker = cluster.workers[-1].pid
        os.kill(worker, signal.SIGSTOP)
        try:
            ((_, paused),) = topic.ends()
            passed(producer, 10)
            # What aiokafka has fetched before is read all the same.
            (((_, end),)) = topic.ends()
            assert end > paused + 100
            for future in broker.admin().delete_records([TopicPartition(topic.name, 0, end)]).values():
                future.result(REQUEST)
        finally:
            os.kill(worker, signal.SIGCONT)
        again = producer.end_after(3)
        passed(producer, 10)
        wanted = {key: mean for key, mean in producer.stop().items() if key[1] > again}
        found = until(cluster, detector, wanted)
        assert {key: found[key] for key in wanted} == pytest.approx(wanted)
        error_of(cluster, detector, "records", "deleted")


def made_anew(broker: Broker, name: str) -> TopicUnderTest:
    """Delete a topic and make it anew."""
    for future in broker.admin().delete_topics([name]).values():
        future.result(REQUEST)

    def made() -> TopicUnderTest | None:
        try:
            return broker.create_topic(name)
        except KafkaException:  # it is still being deleted
            time.sleep(0.1)
            return None

    topic = eventually("the topic is made anew", made)
    assert topic is not None
    return topic


@pytest.mark.parametrize("away", [False, True])
def test_a_live_topic_that_is_deleted_and_made_anew_goes_on(
    broker: Broker, new_topic: NewTopic, topic_prefix: str, away: bool
) -> None:
    topic = new_topic(topic_prefix + "m")
    with live(broker, topic_prefix) as cluster:
        detector = cluster.create(topic.name)
        cluster.start(detector)
        before = LiveProducer(broker.bootstrap, topic.name)
        passed(before, 8)
        wanted = before.stop()
        until(cluster, detector, wanted)
        if away:
            assert cluster.workers[-1].stop() == 0
        ((_, length),) = topic.ends()
        topic = made_anew(broker, topic.name)
        after = LiveProducer(broker.bootstrap, topic.name, "abcd")
        passed(after, 12)
        if away:
            assert topic.ends()[0][1] > length, "by the offsets it could be the old one: nothing is proved"
            cluster.start_worker()
        passed(after, 8)
        wanted = after.stop()
        found = until(cluster, detector, wanted)
        assert {key: found[key] for key in wanted} == pytest.approx(wanted)
        error_of(cluster, detector, f"topic {topic.name} was deleted and made anew")
