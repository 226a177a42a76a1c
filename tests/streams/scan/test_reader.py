"""Reading a partition whose records go while they are read, on a real Kafka."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
from confluent_kafka import TopicPartition

from schemas.scan import Scan
from streams.kafka.partitions import Partitions
from streams.scan.reader import ScanReader, TopicGone
from streams.settings import Settings
from tests.conftest import Broker, TopicUnderTest
from tests.deadlines import EVENT, REQUEST, eventually


def filled(topic: TopicUnderTest) -> TopicUnderTest:
    """With two hundred records."""
    topic.produce_all([(None, b"%d" % number) for number in range(200)])
    return topic


def reader(topic: TopicUnderTest) -> closing[ScanReader]:
    """One that wants them all."""
    return closing(opened(topic))


def opened(topic: TopicUnderTest) -> ScanReader:
    settings = Settings(brokers=topic.bootstrap)
    partitions = Partitions(settings.client())
    scan = Scan(
        task_id="t",
        detector_id="d",
        topic=topic.name,
        partition=0,
        offset=0,
        end_offset=200,
        start_time=0,
        end_time=1,
        topic_id=partitions.ids([topic.name])[topic.name],
    )
    return ScanReader(settings, partitions, scan, 0)


def offsets(reading: ScanReader) -> Iterator[int]:
    """What it reads, as a scan does: it looks when nothing comes."""
    deadline = time.monotonic() + EVENT
    while not reading.ended:
        assert time.monotonic() < deadline
        records = reading.read(50, 0.2)
        yield from (record.offset for record in records)
        if not records:
            reading.look()


def gone(reading: ScanReader) -> str:
    """Look until it is certain."""

    def reason() -> str:
        try:
            reading.look()
        except TopicGone as error:
            return str(error)
        return ""

    return eventually("it is gone", reason, every=0.1)


def test_records_are_read_from_begin_to_end(topic: TopicUnderTest) -> None:
    filled(topic)
    topic.produce(None, b"later")
    with reader(topic) as reading:
        assert reading.look()
        assert list(offsets(reading)) == list(range(200))
        assert (reading.low, reading.lost) == (0, [])


@pytest.mark.parametrize(("before", "left"), [(120, range(120, 200)), (200, range(0))])
def test_what_is_deleted_before_it_is_read_is_known(
    topic: TopicUnderTest, broker: Broker, before: int, left: range
) -> None:
    filled(topic)
    for future in broker.admin().delete_records([TopicPartition(topic.name, 0, before)]).values():
        future.result(REQUEST)
    with reader(topic) as reading:
        assert list(offsets(reading)) == list(left)
        assert (reading.low, reading.lost) == (before, [(0, before)])


def test_a_topic_that_is_deleted_is_gone_for_certain_only_after_a_while(
    topic: TopicUnderTest, broker: Broker, new_topic: Callable[..., TopicUnderTest]
) -> None:
    filled(topic)
    with reader(topic) as reading:
        for future in broker.admin().delete_topics([topic.name]).values():
            future.result(REQUEST)
        began = time.monotonic()
        assert gone(reading) == f"topic {topic.name} was deleted while it was analysed"
        assert time.monotonic() - began > 1
        filled(new_topic(topic.name))
        assert gone(reading) == f"topic {topic.name} was deleted and made anew while it was analysed"


def test_a_reader_is_closed_only_when_nobody_reads_any_more(topic: TopicUnderTest) -> None:
    began, ended = threading.Event(), threading.Event()

    def read(reading: ScanReader) -> None:
        began.set()
        reading.read(10, 1.0)
        ended.set()

    reading = opened(topic)
    thread = threading.Thread(target=read, args=[reading])
    thread.start()
    assert began.wait(EVENT)
    time.sleep(0.1)
    reading.close()
    assert ended.is_set()
    thread.join()
