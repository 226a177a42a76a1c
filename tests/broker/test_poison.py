"""Records that nobody can use, on data topics and on Riverwatch's own: nothing else notices them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.cluster import Cluster
from tests.conftest import Broker, TopicUnderTest
from tests.deadlines import SLOW_TEST
from tests.live import LiveProducer, dead_letters, passed, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(SLOW_TEST)]

NewTopic = Callable[..., TopicUnderTest]

START = 1_700_000_000_000


@contextmanager
def undisturbed(broker: Broker, prefix: str, new_topic: NewTopic) -> Iterator[Cluster]:
    """A Riverwatch with a live detector, none of whose windows may be lost or changed by what is done meanwhile, and
    whose worker must not fail."""
    topic = new_topic(prefix + "undisturbed")
    with Cluster(broker.bootstrap, prefix + "own.", tick_grace=5, idle_timeout=3) as cluster:
        cluster.start_worker()
        detector = cluster.create(topic.name, detector_id="undisturbed")
        cluster.start(detector)
        producer = LiveProducer(broker.bootstrap, topic.name)
        passed(producer, 5)
        yield cluster
        passed(producer, 5)
        wanted = producer.stop()
        found = until(cluster, detector, wanted)
        assert {key: found[key] for key in wanted} == pytest.approx(wanted)
        assert cluster.workers[-1].stop() == 0
        for worker in cluster.workers:
            assert not [line for line in worker.lines if "worker failed" in line]


def sum_of(field: str) -> list[dict[str, Any]]:
    return [{"feature_name": "sum", "aggregation_query": {"sum": {"sum": {"field": field}}}}]


def test_an_object_where_another_detector_reads_a_text(broker: Broker, new_topic: NewTopic, topic_prefix: str) -> None:
    with undisturbed(broker, topic_prefix, new_topic) as cluster:
        topic = new_topic(topic_prefix + "poisoned")
        texts = cluster.create(topic.name, category_field=["host"])
        objects = cluster.create(topic.name, category_field=["host.name"])
        for detector in (texts, objects):
            cluster.start(detector)
        cluster.produce(topic.name, [{"time": START, "host": "a", "value": 1}])
        cluster.produce(topic.name, [b'{"time":%d,"host":{"name":"b"},"value":2}' % START])
        cluster.produce(topic.name, [{"time": START + 1000 * second, "host": "a", "value": 3} for second in (1, 2, 3)])
        until(cluster, texts, [("a", START + 1000 * second) for second in (1, 2, 3)])
        until(cluster, objects, [("b", START + 1000)])
        assert [reason for reason, _ in dead_letters(cluster, topic.name)] == ["bad-category-value"]
        for detector in (texts, objects):
            assert cluster.command("job.stop", detector)["error"] is None


@pytest.mark.parametrize("digits", [400, 5000])
def test_an_integer_beyond_all_numbers_under_a_range_filter(
    broker: Broker, new_topic: NewTopic, topic_prefix: str, digits: int
) -> None:
    with undisturbed(broker, topic_prefix, new_topic) as cluster:
        topic = new_topic(topic_prefix + "poisoned")
        detector = cluster.create(
            topic.name, filter_query={"range": {"size": {"gte": 5}}}, feature_attributes=sum_of("value")
        )
        cluster.start(detector)
        for second in range(3):
            then = START + 1000 * second
            cluster.produce(topic.name, [{"time": then, "host": "a", "value": 1, "size": 7}])
            cluster.produce(topic.name, [b'{"time":%d,"host":"a","value":1,"size":%s}' % (then, b"9" * digits)])
        until(cluster, detector, [("a", START + 1000 * second) for second in (1, 2, 3)])
        assert cluster.command("job.stop", detector)["error"] is None


RUBBISH: list[tuple[bytes | None, bytes | None]] = [
    (b"d", b"no JSON"),
    (b"d", b"\xff\xfe\x00"),
    (b"d", b""),
    (b"d", b"[" * 20_000),
    (b"d", b'{"kind":"job"}'),
    (b"d", b'{"kind":"task","id":5}'),
    (b"d", b'{"id":"d","version":1,"control_offset":1,"document":{"indices":5}}'),
    (b"\xff", b"{}"),
    (None, b"{}"),
    (None, None),
    (b"claim|\xff|x", b"\xff"),
    (b"claim|models/0", None),
    (b"0|models/0|undisturbed|a", b"\xff"),
    (b"0|models/0||fences", b"\xff"),
]


@pytest.mark.parametrize("name", ["state", "detectors", "windows", "checkpoints", "partials", "control"])
def test_rubbish_on_topics_of_our_own(broker: Broker, new_topic: NewTopic, topic_prefix: str, name: str) -> None:
    with undisturbed(broker, topic_prefix, new_topic) as cluster:
        own = TopicUnderTest(broker.bootstrap, cluster.prefix + name, 1)
        for key, value in RUBBISH:  # Kafka lets nobody write records without keys to compacted topics
            own.produce(key if name in ("partials", "control") else key or b"no key", value, partition=0)
        # Whoever starts later reads them, too, and whoever takes over.
        cluster.start_worker()
        cluster.workers[0].kill()
        cluster.start_worker()
        assert cluster.workers[1].stop() == 0
        topic = new_topic(topic_prefix + "later")
        detector = cluster.create(topic.name)
        cluster.start(detector)
        cluster.produce(topic.name, [{"time": START, "host": "a", "value": 1.0}])
        until(cluster, detector, [("a", START + 1000)])
