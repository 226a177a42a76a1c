"""What may happen to the topics of a running detector, on a real Kafka with a real worker."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import NewPartitions

from tests import kafka
from tests.cluster import Cluster
from tests.conftest import Broker, TopicUnderTest
from tests.deadlines import REQUEST
from tests.streams.scan.conftest import START, points, tasks

NewTopic = Callable[..., TopicUnderTest]


@pytest.fixture(scope="module")
def cluster(broker: Broker) -> Iterator[Cluster]:
    """A running Riverwatch, whose last worker is the one that works."""
    with Cluster(broker.bootstrap, f"topics-{uuid.uuid4().hex[:6]}.", statistics_interval=0.2) as running:
        running.start_worker()
        yield running
        assert running.workers[-1].stop() == 0, "\n".join(running.workers[-1].lines[-60:])


def begun(cluster: Cluster, topic: TopicUnderTest) -> str:
    """A detector that reads the topic from its beginning."""
    detector = cluster.create(topic.name)
    cluster.start(detector, **{"from": "earliest"})
    return detector


def windows(results: dict[str, dict[str, Any]]) -> set[tuple[str, int]]:
    """Host and second at which its window ends."""
    return {(each["entity"][0]["value"], (each["data_end_time"] - START) // 1000) for each in results.values()}


def until(cluster: Cluster, detector: str, wanted: set[tuple[str, int]]) -> set[tuple[str, int]]:
    """The windows that have results, once all that are wanted are among them."""
    return windows(cluster.results(detector, lambda found: windows(found) >= wanted))


def error(cluster: Cluster, detector: str, *words: str) -> str:
    """The error of a detector's task, once it has these words."""

    def of(found: dict[str, dict[str, Any]]) -> str:
        return next((each["error"] or "" for each in found.values() if each["detector_id"] == detector), "")

    return of(tasks(cluster, lambda found: all(word in of(found) for word in words)))


def write(topic: TopicUnderTest, records: list[dict[str, Any]], partition: int) -> None:
    """Write with a new producer: an older one knows no partition that was added."""
    topic.produce_all([(None, json.dumps(record).encode()) for record in records], partition=partition)


def ends(host: str, seconds: range) -> set[tuple[str, int]]:
    return {(host, second + 1) for second in seconds}


@pytest.mark.parametrize("commits", [True, False])
def test_a_partition_that_ends_with_a_marker_holds_nobody_back(
    cluster: Cluster, broker: Broker, new_topic: NewTopic, topic_prefix: str, commits: bool
) -> None:
    topic = new_topic(topic_prefix + "m", partitions=2)
    producer = kafka.producer(broker.bootstrap, transactional_id=topic.name)
    producer.init_transactions()
    producer.begin_transaction()
    producer.produce(topic.name, b'{"time":%d,"host":"b","value":1}' % START, partition=1)
    assert producer.flush(REQUEST) == 0
    producer.commit_transaction() if commits else producer.abort_transaction()
    cluster.produce(topic.name, points(range(30)), partition=0)
    detector = begun(cluster, topic)
    until(cluster, detector, ends("a", range(29)))


def test_a_topic_that_is_made_anew_with_more_records_is_read_from_its_beginning(
    cluster: Cluster, broker: Broker, new_topic: NewTopic, topic_prefix: str
) -> None:
    topic = new_topic(topic_prefix + "m")
    cluster.produce(topic.name, points(range(40)))
    detector = begun(cluster, topic)
    until(cluster, detector, ends("a", range(39)))
    for future in broker.admin().delete_topics([topic.name]).values():
        future.result(REQUEST)
    deadline = time.monotonic() + 60
    while True:
        try:
            topic = new_topic(topic.name)
            break
        except KafkaException:  # it is still being deleted
            assert time.monotonic() < deadline
            time.sleep(0.05)
    cluster.produce(topic.name, points(range(40, 140)))
    # Whether the last window of the old one was still open when it was deleted is luck.
    until(cluster, detector, ends("a", range(40, 139)))
    error(cluster, detector, f"topic {topic.name} was deleted and made anew")


def test_partitions_that_are_added_count_from_when_they_were_found(
    cluster: Cluster, broker: Broker, new_topic: NewTopic, topic_prefix: str
) -> None:
    topic = new_topic(topic_prefix + "m")
    cluster.produce(topic.name, points(range(40)), partition=0)
    detector = begun(cluster, topic)
    until(cluster, detector, ends("a", range(39)))
    for future in broker.admin().create_partitions([NewPartitions(topic.name, 2)]).values():
        future.result(REQUEST)
    # All but the last of these windows have been scored without it.
    write(topic, points(range(35, 41), host="b"), 1)
    cluster.workers[-1].wait_for("detector runs", detector, "1: 0")
    for second in range(41, 50):
        write(topic, points(range(second, second + 1)), 0)
        write(topic, points(range(second, second + 1), host="b"), 1)
    found = until(cluster, detector, ends("a", range(41, 49)) | ends("b", range(40, 49)))
    assert not found & ends("b", range(35, 39))
    error(cluster, detector, f"partition 1 of topic {topic.name} had records when it was found")


def test_records_that_retention_deletes_before_they_are_read_are_counted(
    cluster: Cluster, broker: Broker, new_topic: NewTopic, topic_prefix: str
) -> None:
    topic = new_topic(topic_prefix + "m")
    cluster.produce(topic.name, points(range(40)))
    detector = begun(cluster, topic)
    until(cluster, detector, ends("a", range(39)))
    assert cluster.workers[-1].stop() == 0
    cluster.produce(topic.name, points(range(40, 80)))
    for future in broker.admin().delete_records([TopicPartition(topic.name, 0, 60)]).values():
        future.result(REQUEST)
    cluster.start_worker()
    found = until(cluster, detector, ends("a", range(60, 79)))
    assert not found & ends("a", range(41, 60))
    assert "20 records" in error(cluster, detector, "deleted")
