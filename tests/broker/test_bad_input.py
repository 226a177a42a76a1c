"""Bad input: nothing crashes, nothing else is lost, the dead letter says what, where and why."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable

import pytest
from confluent_kafka import Message

from tests.cluster import Cluster, document
from tests.conftest import TopicUnderTest

START = 1_700_000_000_000
FAR = int(time.time() * 1000) + 10**9

BAD_RECORDS: list[tuple[bytes, str]] = [
    (b'{"time": 1, "host"', "malformed-json"),
    (b"\xff\xfe\x00", "malformed-json"),
    (b'{"time": 1700000000000, "host": "\xff", "value": 1}', "bad-category-value"),
    (b"", "malformed-json"),
    (b"42", "not-an-object"),
    (b'{"host": "x", "value": 1}', "missing-time"),
    (b'{"time": null, "host": "x", "value": 1}', "missing-time"),
    (b'{"time": "yesterday", "host": "x", "value": 1}', "bad-time"),
    (b'{"time": true, "host": "x", "value": 1}', "bad-time"),
    (b'{"time": 99999999999999999999, "host": "x", "value": 1}', "bad-time"),
    (b'{"time": %d, "host": "x", "value": 1}' % FAR, "time-too-far-ahead"),
    (b'{"time": 1700000000000, "host": "x", "value": "high"}', "bad-feature-value"),
    (b'{"time": 1700000000000, "host": "x", "value": {"a": 1}}', "bad-feature-value"),
    (b'{"time": 1700000000000, "host": {"a": 1}, "value": 1}', "bad-category-value"),
]


def letters_of(cluster: Cluster, topic: str, count: int) -> list[Message]:
    """The dead letters of one topic."""

    def own(messages: list[Message]) -> list[Message]:
        return [message for message in messages if dict(message.headers())["riverwatch.topic"] == topic.encode()]

    return own(cluster.read("deadletter", lambda messages: len(own(messages)) >= count))


def test_each_bad_record_is_a_dead_letter_and_the_good_ones_count(
    cluster: Cluster, new_topic: Callable[..., TopicUnderTest], topic_prefix: str
) -> None:
    topic = new_topic(topic_prefix + "m")
    detector = cluster.create(topic.name)
    cluster.start(detector)
    huge = json.dumps({"time": START, "host": "big", "value": 2, "pad": "x" * 900_000}).encode()
    old = {"time": 1, "host": "a", "value": 1}
    yes = {"time": START, "host": "yes", "value": True}
    none = b'{"time": 1700000000000, "host": "none", "value": NaN}'
    good = [{"time": START + second * 1000, "host": "a", "value": 1} for second in range(3)]
    mixed: list[bytes | dict[str, object]] = [old, good[0]]
    for value, _ in BAD_RECORDS:
        mixed += [value, good[0]]
    cluster.produce(topic.name, [*mixed, huge, yes, none, *good[1:]])
    letters = letters_of(cluster, topic.name, len(BAD_RECORDS))
    assert [(message.value() or b"", dict(message.headers())["riverwatch.reason"].decode()) for message in letters] == (
        BAD_RECORDS
    )
    for message in letters:
        headers = dict(message.headers())
        assert headers["riverwatch.detail"]
        assert headers["riverwatch.partition"] == b"0"
        assert int(headers["riverwatch.offset"]) >= 2
    # The old record has a window of its own; the huge one is good, and so is a boolean; NaN is no value.
    results = cluster.results(detector, 7)
    assert sorted(results) == [
        f"{detector}|a|1000",
        f"{detector}|a|{START + 1000}",
        f"{detector}|a|{START + 2000}",
        f"{detector}|a|{START + 3000}",
        f"{detector}|big|{START + 1000}",
        f"{detector}|none|{START + 1000}",
        f"{detector}|yes|{START + 1000}",
    ]


def test_records_larger_than_a_letter_may_be_stop_nobody(
    cluster: Cluster, new_topic: Callable[..., TopicUnderTest], topic_prefix: str
) -> None:
    topic = new_topic(topic_prefix + "m", config={"max.message.bytes": "5000000"})
    detector = cluster.create(topic.name)
    cluster.start(detector)
    key, value = os.urandom(1_200_000), os.urandom(3_000_000)  # bytes that no compression makes smaller
    topic.produce_all([(key, value)], message_max_bytes="5000000")
    partials = TopicUnderTest(cluster.bootstrap, cluster.prefix + "partials", 1)
    partials.produce_all([(b"k", value)], message_max_bytes="5000000", partition=0)
    cluster.produce(topic.name, [{"time": START + second * 1000, "host": "a", "value": 1} for second in range(2)])
    assert len(cluster.results(detector, 2)) == 2
    for name, cut in [(topic.name, key[:100_000]), (partials.name, b"k")]:
        (letter,) = letters_of(cluster, name, 1)
        assert (letter.key(), letter.value()) == (cut, value[:900_000])
        assert dict(letter.headers())["riverwatch.bytes"] == b"3000000"
    assert all(worker.alive() for worker in cluster.workers)


def test_what_one_detector_cannot_use_is_good_for_another(
    cluster: Cluster, new_topic: Callable[..., TopicUnderTest], topic_prefix: str
) -> None:
    topic = new_topic(topic_prefix + "m")
    strict = cluster.create(topic.name)
    count = [{"feature_name": "n", "aggregation_query": {"n": {"value_count": {"field": "value"}}}}]
    counting = cluster.create(topic.name, feature_attributes=count)
    cluster.start(strict)
    cluster.start(counting)
    cluster.produce(topic.name, [{"time": START, "host": "a", "value": "text"}])
    cluster.produce(topic.name, [{"time": START + 5000, "host": "a", "value": 1}])
    assert cluster.results(counting, 2)[f"{counting}|a|{START + 1000}"]["feature_data"][0]["data"] == 1.0
    assert list(cluster.results(strict, 1)) == [f"{strict}|a|{START + 6000}"]
    (letter,) = letters_of(cluster, topic.name, 1)
    assert dict(letter.headers())["riverwatch.detector"] == strict.encode()


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"not json", "bad-command"),
        (b'{"type": "no.such", "detector_id": "x"}', "bad-command"),
        (b'{"type": "job.start"}', "bad-command"),
        (b'{"type": "job.start", "detector_id": "never-made"}', "refused-command"),
        (b'{"type": "job.start", "detector_id": 5}', "bad-command"),
        (b"[" * 20_000, "bad-command"),
        (b"\xff", "bad-command"),
    ],
)
def test_a_command_that_cannot_be_carried_out_is_a_dead_letter(cluster: Cluster, value: bytes, reason: str) -> None:
    cluster.produce(cluster.prefix + "control", [value])

    def found(messages: list[Message]) -> list[Message]:
        return [message for message in messages if message.value() == value]

    letter = found(cluster.read("deadletter", lambda messages: bool(found(messages))))[0]
    headers = dict(letter.headers())
    assert headers["riverwatch.reason"] == reason.encode()
    assert headers["riverwatch.topic"] == (cluster.prefix + "control").encode()


def test_a_command_with_a_bad_detector_gets_a_reply_that_says_why(cluster: Cluster) -> None:
    reply = cluster.command("detector.put", "bad", detector=document("bad", "m", time_field=""))
    assert reply["error"]["reason"] == "Time field should be set"
    reply = cluster.command("detector.put", "bad", detector=document("bad", "m", model={"type": "magic"}))
    assert (reply["status"], reply["error"]["reason"]) == (400, "model.type must be one of: default, river")


def test_a_detector_of_a_topic_that_is_not_there_yet_waits_for_it(
    cluster: Cluster, new_topic: Callable[..., TopicUnderTest], topic_prefix: str
) -> None:
    detector = cluster.create(topic_prefix + "later")
    cluster.start(detector)
    topic = new_topic(topic_prefix + "later")
    cluster.produce(topic.name, [{"time": START, "host": "a", "value": 1}])
    assert len(cluster.results(detector, 1)) == 1


def test_the_same_command_twice_has_one_effect(
    cluster: Cluster, new_topic: Callable[..., TopicUnderTest], topic_prefix: str
) -> None:
    topic = new_topic(topic_prefix + "m")
    detector = cluster.create(topic.name)
    again = cluster.command("detector.put", detector, detector=document(detector, topic.name), mode="create")
    assert again["status"] in (400, 409)
    cluster.start(detector)
    assert cluster.command("job.start", detector)["status"] == 200
    cluster.produce(topic.name, [{"time": START, "host": "a", "value": 1}])
    assert len(cluster.results(detector, 1)) == 1
