"""The journal on a real Kafka."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.local_kafka.broker import LocalBroker, free_port
from streams.coordinate.journal import Entry, Held, JournalLost, JournalUnavailable
from streams.coordinate.kafka_journal import KafkaJournal
from streams.settings import Settings
from tests.conftest import Broker, TopicUnderTest
from tests.deadlines import EVENT


@pytest.fixture
def topics(topic_prefix: str, new_topic: Callable[..., TopicUnderTest]) -> dict[str, TopicUnderTest]:
    return {name: new_topic(topic_prefix + name) for name in ("detectors", "state", "replies")}


@pytest.fixture
def settings(broker: Broker, topic_prefix: str, topics: dict[str, TopicUnderTest]) -> Settings:
    return Settings(brokers=broker.bootstrap, prefix=topic_prefix)


def opened(settings: Settings) -> KafkaJournal:
    journal = KafkaJournal(settings)
    journal.open()
    return journal


def no_replies(_offsets: object) -> list[Entry]:
    return []


def test_a_transaction_is_read_back_with_the_offsets_that_its_replies_were_made_from(
    settings: Settings, topics: dict[str, TopicUnderTest]
) -> None:
    journal = opened(settings)
    told: list[list[int]] = []

    def replies(offsets: object) -> list[Entry]:
        assert isinstance(offsets, list)
        told.append(offsets)
        return [Entry("replies", "r", b"yes")]

    entries = [Entry("detectors", "d", b"1"), Entry("state", "a", b"2"), Entry("state", "b", None)]
    assert journal.commit(entries, replies) == [0, 0, 1] == told[0]
    journal.commit([Entry("state", "c", b"3")], no_replies)
    held = list(journal.read())
    assert held[:3] == [Held("detectors", b"d", b"1", 0), Held("state", b"a", b"2", 0), Held("state", b"b", None, 1)]
    assert (held[3].key, held[3].offset) == (b"c", 3)  # a marker stands between
    assert topics["replies"].consume(1)[0].value() == b"yes"


def test_whoever_opens_the_journal_fences_the_one_before(settings: Settings) -> None:
    paused = opened(settings)
    paused.commit([Entry("state", "a", b"1")], no_replies)
    successor = opened(settings)
    with pytest.raises(JournalLost):
        paused.commit([Entry("state", "a", b"old"), Entry("detectors", "d", b"old")], no_replies)
    successor.commit([Entry("state", "b", b"2")], no_replies)
    assert [(held.key, held.value) for held in successor.read()] == [(b"a", b"1"), (b"b", b"2")]
    with pytest.raises(JournalLost):  # a lost journal stays lost until it is opened
        paused.commit([Entry("state", "a", b"old")], no_replies)
    paused.open()
    paused.commit([Entry("state", "c", b"3")], no_replies)
    assert len(list(paused.read())) == 3


def test_one_record_that_kafka_refuses_takes_the_whole_transaction_with_it(settings: Settings) -> None:
    journal = opened(settings)
    with pytest.raises(JournalLost) as lost:
        journal.commit([Entry("state", "a", b"1"), Entry("detectors", "d", os.urandom(2_000_000))], no_replies)
    assert lost.value.refused
    journal.open()
    with pytest.raises(JournalLost) as lost:
        journal.commit([Entry("state", "a", b"1")], lambda _: [Entry("replies", "r", b"x" * 20_000_000)])
    assert lost.value.refused
    journal.open()
    assert list(journal.read()) == []


@pytest.mark.slow
def test_a_kafka_that_cannot_run_transactions_is_told_what_to_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streams.coordinate.kafka_journal.OPEN_SECONDS", 6.0)
    more = {"transaction.state.log.replication.factor": 3}
    with (
        LocalBroker(free_port(), tmp_path, quick=True, heap="512m", properties=more, patience=EVENT) as broker,
        pytest.raises(JournalUnavailable, match=r"transaction\.state\.log\.replication\.factor"),
    ):
        opened(Settings(brokers=broker.bootstrap))
    with pytest.raises(JournalUnavailable, match="does not answer"):
        opened(Settings(brokers=broker.bootstrap))
