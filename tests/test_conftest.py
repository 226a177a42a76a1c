"""The fixtures that other tests stand on."""

from __future__ import annotations

from collections.abc import Callable

from tests.conftest import Broker, TopicUnderTest
from tests.deadlines import REQUEST


def test_a_topic_gives_back_what_was_written(topic: TopicUnderTest) -> None:
    topic.produce(b"k", b"v", headers=[("h", b"1")])
    topic.produce(b"k", None)
    first, second = topic.consume(2)
    assert (first.key(), first.value(), first.headers()) == (b"k", b"v", [("h", b"1")])
    assert second.value() is None


def test_partitions_configuration_and_codec_are_as_asked(
    broker: Broker, topic_prefix: str, new_topic: Callable[..., TopicUnderTest]
) -> None:
    made = new_topic(topic_prefix + "metrics", partitions=3, config={"cleanup.policy": "compact"})
    made.produce_all([(b"%d" % number, b"x" * 100) for number in range(50)], compression_type="zstd")
    messages = made.everything()
    assert len(messages) == 50
    assert {message.partition() for message in messages} == {0, 1, 2}
    assert len(broker.admin().list_topics(made.name, timeout=REQUEST).topics[made.name].partitions) == 3
