"""Followers of whole topics, on a real Kafka: what they deliver, when they have caught up, and how they fail."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from confluent_kafka import KafkaError, KafkaException

from streams.kafka.follower import Followed, Follower, KafkaRecord, NotNow
from tests import kafka
from tests.conftest import Broker, TopicUnderTest
from tests.deadlines import REQUEST, eventually

NewTopic = Callable[..., TopicUnderTest]


@contextmanager
def following(broker: Broker, topic: Followed, deliver: Callable[[list[KafkaRecord]], None]) -> Iterator[Follower]:
    """A follower that is stopped in the end."""
    follower = Follower({"bootstrap.servers": broker.bootstrap}, [topic], deliver)
    follower.start()
    try:
        yield follower
    finally:
        follower.stop(REQUEST)


def test_everything_is_delivered_in_the_order_of_each_partition_before_it_has_caught_up(
    broker: Broker, new_topic: NewTopic, topic_prefix: str
) -> None:
    topic = new_topic(topic_prefix + "state", partitions=2)
    for number in range(50):
        topic.produce(b"k%d" % number, None if number % 7 == 0 else b"v", partition=number % 2)
    found: list[KafkaRecord] = []
    with following(broker, Followed("state", topic.name, "beginning"), found.extend) as follower:
        eventually("the follower has caught up", lambda: follower.caught_up)
        assert len(found) == 50
        assert {record.topic for record in found} == {"state"}
        for partition in (0, 1):
            keys = [int(record.key[1:]) for record in found if record.partition == partition]
            assert keys == list(range(partition, 50, 2))
        assert [record.key for record in found if record.value is None]
        topic.produce(b"later", b"v", partition=0)
        eventually("what is written later is delivered", lambda: found[-1].key == "later")


def test_a_topic_that_ends_in_a_transaction_marker_or_holds_nothing_is_caught_up_with(
    broker: Broker, new_topic: NewTopic, topic_prefix: str
) -> None:
    topic = new_topic(topic_prefix + "state", partitions=2)
    producer = kafka.producer(broker.bootstrap, transactional_id=topic.name)
    producer.init_transactions(REQUEST)
    for commit in (True, False):
        producer.begin_transaction()
        producer.produce(topic.name, b"v", b"committed" if commit else b"aborted", partition=0)
        producer.flush(REQUEST)
        (producer.commit_transaction if commit else producer.abort_transaction)(REQUEST)
    found: list[KafkaRecord] = []
    with following(broker, Followed("state", topic.name, "beginning"), found.extend) as follower:
        eventually("the follower has caught up", lambda: follower.caught_up)
        assert [record.key for record in found] == ["committed"]


def test_what_cannot_be_taken_now_is_read_again_from_where_it_is_known_to_be(
    broker: Broker, new_topic: NewTopic, topic_prefix: str
) -> None:
    topic = new_topic(topic_prefix + "results")
    for number in range(10):
        topic.produce(b"k%d" % number, b"v")
    found: list[KafkaRecord] = []
    full = threading.Event()
    full.set()

    def deliver(records: list[KafkaRecord]) -> None:
        if full.is_set():
            raise NotNow("the disk is full")
        found.extend(records)

    stored = Followed("results", topic.name, "stored", lambda: {0: 4})
    with following(broker, stored, deliver) as follower:
        eventually("the reason is told", lambda: follower.problem == "the disk is full")
        assert not follower.caught_up
        full.clear()
        eventually("the follower has caught up", lambda: follower.caught_up)
        assert [record.offset for record in found] == [4, 5, 6, 7, 8, 9]
        assert follower.problem is None


def test_after_an_error_of_kafka_nothing_that_was_delivered_comes_again(
    broker: Broker, new_topic: NewTopic, topic_prefix: str
) -> None:
    topic = new_topic(topic_prefix + "state")
    topic.produce(b"k0", b"v")
    found: list[str] = []

    def deliver(records: list[KafkaRecord]) -> None:
        if records[0].key == "k1" and len(found) == 1:
            found.append("failed")
            raise KafkaException(KafkaError(KafkaError._TRANSPORT))
        found.extend(record.key for record in records)

    with following(broker, Followed("state", topic.name, "beginning"), deliver) as follower:
        eventually("the follower has caught up", lambda: follower.caught_up)
        topic.produce(b"k1", b"v")
        eventually("the record that failed is delivered", lambda: "k1" in found)
        assert found == ["k0", "failed", "k1"]
        assert follower.caught_up


def test_a_missing_topic_is_named_and_waited_for(broker: Broker, new_topic: NewTopic, topic_prefix: str) -> None:
    name = topic_prefix + "detectors"
    with following(broker, Followed("detectors", name, "beginning"), lambda _records: None) as follower:
        eventually("the missing topic is named", lambda: name in (follower.problem or ""))
        new_topic(name)
        eventually("the follower has caught up", lambda: follower.caught_up)


def test_any_other_exception_ends_it_and_is_told(broker: Broker, new_topic: NewTopic, topic_prefix: str) -> None:
    topic = new_topic(topic_prefix + "state")
    topic.produce(b"k", b"v")

    def deliver(_records: list[KafkaRecord]) -> None:
        raise LookupError("no such table")

    with following(broker, Followed("state", topic.name, "beginning"), deliver) as follower:
        eventually("the failure is told", lambda: follower.failure == "LookupError: no such table")
        assert not follower.caught_up
