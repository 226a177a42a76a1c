"""A real Kafka for the tests: one broker for the whole run, topics of its own for each test.

    def test_something(topic):                      # a new topic of one partition
        topic.produce(b"k", b"v")
        assert topic.consume(1)[0].value() == b"v"

    def test_more(broker, topic_prefix, new_topic): # several topics under one prefix
        new_topic(topic_prefix + "metrics", partitions=4, config={"cleanup.policy": "compact"})
        run_something(broker.bootstrap, prefix=topic_prefix)

The broker starts when the first test asks for it. ``RIVERWATCH_TEST_BROKERS`` uses an existing cluster instead.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import signal
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from confluent_kafka import KafkaError, Message, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from hypothesis import HealthCheck, settings

from deploy.local_kafka.broker import LocalBroker, free_port
from tests import kafka
from tests.deadlines import EVENT, REQUEST, eventually

# How long an example takes is the machine's business, not the test's.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what ``make quick`` leaves out: tests that use the broker."""
    for item in items:
        if isinstance(item, pytest.Function) and "broker" in item.fixturenames:
            item.add_marker("kafka")


@dataclass(frozen=True)
class Broker:
    """Where the tests' Kafka listens."""

    bootstrap: str

    def admin(self) -> AdminClient:
        """A client to create, describe and delete topics; lives as long as the test run."""
        return _admin(self.bootstrap)

    def create_topic(
        self, name: str, partitions: int = 1, config: dict[str, str] | None = None, replication: int = 1
    ) -> TopicUnderTest:
        """A topic that is there, with leaders, when this returns."""
        admin = self.admin()
        for future in admin.create_topics([NewTopic(name, partitions, replication, config=config or {})]).values():
            future.result(REQUEST)

        def has_leaders() -> bool:
            found = admin.list_topics(name, timeout=REQUEST).topics[name]
            return len(found.partitions) == partitions and all(p.leader >= 0 for p in found.partitions.values())

        eventually(f"the topic {name} is there", has_leaders, every=0.02)
        return TopicUnderTest(self.bootstrap, name, partitions)


# A client that is collected while one of its futures is pending fails that future.
@functools.cache
def _admin(bootstrap: str) -> AdminClient:
    return kafka.admin(bootstrap)


@dataclass(frozen=True)
class TopicUnderTest:
    """A topic to write to and read from."""

    bootstrap: str
    name: str
    partitions: int

    def produce(
        self,
        key: bytes | None,
        value: bytes | None,
        *,
        partition: int | None = None,
        headers: list[tuple[str, bytes]] | None = None,
    ) -> None:
        """Write one record and wait for its confirmation."""
        self.produce_all([(key, value)], partition=partition, headers=headers)

    def produce_all(
        self,
        records: list[tuple[bytes | None, bytes | None]],
        *,
        partition: int | None = None,
        headers: list[tuple[str, bytes]] | None = None,
        **config: str,
    ) -> None:
        """Write records, as one batch where possible; ``config`` with underscores (``compression_type="zstd"``)."""
        failures: list[KafkaError] = []

        def delivered(error: KafkaError | None, _message: Message) -> None:
            if error is not None:
                failures.append(error)

        producer = kafka.producer(self.bootstrap, **config)
        where = {} if partition is None else {"partition": partition}
        for key, value in records:
            producer.produce(self.name, value, key, headers=headers, on_delivery=delivered, **where)
            producer.poll(0)
        left = producer.flush(REQUEST)
        assert left == 0, f"{left} records were not confirmed"
        assert not failures, failures

    def consume(self, count: int, *, seconds: float = EVENT) -> list[Message]:
        """The first ``count`` records of all partitions from their beginning; fails when fewer come in time."""
        messages = self._read(lambda got: len(got) >= count, seconds)
        assert len(messages) >= count, f"{len(messages)} of {count} records in {self.name} after {seconds} s"
        return messages[:count]

    def consume_until(self, enough: Callable[[list[Message]], bool], *, seconds: float = EVENT) -> list[Message]:
        """Records from the beginning until ``enough`` of them have come; fails when that never happens."""
        messages = self._read(enough, seconds)
        assert enough(messages), f"{len(messages)} records in {self.name} after {seconds} s were not enough"
        return messages

    def everything(self) -> list[Message]:
        """All records that are there now."""
        ends = self.ends()
        return self._read(lambda got: len(got) >= sum(high - low for low, high in ends), EVENT)

    def ends(self) -> list[tuple[int, int]]:
        """Of each partition its first offset and the one after its last."""
        consumer = kafka.consumer(self.bootstrap)
        try:
            return [
                consumer.get_watermark_offsets(TopicPartition(self.name, partition), timeout=REQUEST)
                for partition in range(self.partitions)
            ]
        finally:
            consumer.close()

    def _read(self, enough: Callable[[list[Message]], bool], seconds: float) -> list[Message]:
        consumer = kafka.consumer(self.bootstrap)
        try:
            consumer.assign([TopicPartition(self.name, partition, 0) for partition in range(self.partitions)])
            messages: list[Message] = []
            deadline = time.monotonic() + seconds
            while not enough(messages) and time.monotonic() < deadline:
                for message in consumer.consume(10_000, timeout=0.05):
                    assert message.error() is None, message.error()
                    messages.append(message)
            return messages
        finally:
            consumer.close()


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """One Kafka for the whole test run; ``broker.bootstrap`` is its address."""
    existing = os.environ.get("RIVERWATCH_TEST_BROKERS")
    if existing:
        yield Broker(existing)
        return
    data: Path = tmp_path_factory.mktemp("kafka")
    with LocalBroker(free_port(), data, quick=True, heap="512m", patience=EVENT) as running:
        yield Broker(running.bootstrap)
        # Before its Kafka goes: a client that outlives it writes about that to the terminal.
        _admin.cache_clear()


_numbers = itertools.count()


@pytest.fixture
def topic_prefix() -> str:
    """A prefix that no other test uses, ending in a dot."""
    return f"t{next(_numbers)}-{uuid.uuid4().hex[:8]}."


@pytest.fixture
def new_topic(broker: Broker) -> Callable[..., TopicUnderTest]:
    """``new_topic(name, partitions=1, config={})`` creates a topic and waits until it is there."""
    return broker.create_topic


@pytest.fixture
def topic(new_topic: Callable[..., TopicUnderTest], topic_prefix: str) -> TopicUnderTest:
    """A new topic of one partition."""
    return new_topic(topic_prefix + "topic")


@pytest.fixture
def pid_file(tmp_path: Path) -> Iterator[Path]:
    """Where a ``tests.pids.SLEEPER`` writes its process id; one that is left at the end is killed."""
    file = tmp_path / "pid"
    yield file
    if file.exists():
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(file.read_text()), signal.SIGKILL)
