from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest
from confluent_kafka import KafkaException, Message, TopicPartition
from faust.transport.drivers import aiokafka as driver

from streams.kafka.partitions import Partitions
from streams.kafka.tp import TP
from streams.settings import Settings
from streams.transport import ChunkConsumer, ChunkTransport, Ledger
from streams.transport.app import App
from tests import kafka
from tests.conftest import Broker, TopicUnderTest
from tests.deadlines import EVENT, REQUEST


class Recorder:
    """An agent that keeps what it gets; ``safe`` says what it calls safe after each fetch."""

    def __init__(self, ledger: Ledger, safe: Callable[[Sequence[Any]], int | None]) -> None:
        self.records: list[Any] = []
        self.losses: list[tuple[TP, int, int]] = []
        self.ids: dict[str, str] = {}
        self.partitions_of: Partitions | None = None
        self.committed: list[Mapping[TP, int | None]] = []
        self.partitions: set[int] = set()
        self._positions: dict[TP, int] = {}
        self._ledger = ledger
        self._safe = safe

    async def assigned(self, committed: Mapping[TP, int | None]) -> dict[TP, int]:
        self.committed.append(committed)
        for topic, found in self.partitions_of.ids(self.ids).items() if self.partitions_of is not None else ():
            for tp in [tp for tp in self._positions if tp.topic == topic and self.ids[topic] != found]:
                await self.made_anew(tp, found)
        return {tp: self._positions.get(tp, at or 0) for tp, at in committed.items()}

    async def records_arrived(self, tp: TP, records: Sequence[Any]) -> None:
        self.records += records
        self.partitions.add(tp.partition)
        self._positions[tp] = records[-1].offset + 1
        offset = self._safe(records)
        if offset is not None:
            self._ledger.mark(tp, offset)

    def position(self, tp: TP) -> int | None:
        return self._positions.get(tp)

    def topic_id(self, topic: str) -> str:
        return self.ids.get(topic, "")

    async def made_anew(self, tp: TP, topic_id: str) -> None:
        self.ids[tp.topic] = topic_id
        self._positions[tp] = 0

    async def lost(self, tp: TP, begin: int, end: int) -> None:
        self.losses.append((tp, begin, end))

    async def until(self, count: int) -> None:
        async with asyncio.timeout(EVENT):
            while len(self.records) < count:
                await asyncio.sleep(0.02)


class Nobody(Recorder):
    def __init__(self) -> None:
        super().__init__(Ledger(), lambda _: None)


def everything(records: Sequence[Any]) -> int:
    return int(records[-1].offset) + 1


@asynccontextmanager
async def reading(
    broker: Broker,
    prefix: str,
    topics: list[str],
    safe: Callable[[Sequence[Any]], int | None] = everything,
    consumer: type[ChunkConsumer] = ChunkConsumer,
    named: tuple[str, ...] = (),
    session: float = 10.0,
    agent: type[Recorder] | None = None,
) -> AsyncIterator[tuple[App, Recorder, set[str]]]:
    ledger = Ledger()
    recorder = (agent or Recorder)(ledger, safe)
    failures: list[BaseException] = []
    settings = Settings(
        brokers=broker.bootstrap, prefix=prefix, group=prefix + "group", commit_interval=0.2, session_timeout=session
    )
    app = App(settings, ledger, data=recorder, named=dict.fromkeys(named, Nobody()), failed=failures.append)
    app.faust.transport.Consumer = consumer
    wanted = set(topics)

    async def keep_reading() -> None:
        while True:
            app.read(wanted)
            await asyncio.sleep(0.1)

    app.read(wanted)
    await app.faust.start()
    keeper = asyncio.create_task(keep_reading())
    try:
        yield app, recorder, wanted
    finally:
        keeper.cancel()
        await app.faust.stop()
    assert failures == []


def committed(broker: Broker, prefix: str, topic: str) -> int:
    client = kafka.consumer(broker.bootstrap, group_id=prefix + "group")
    try:
        (found,) = client.committed([TopicPartition(topic, 0)], timeout=REQUEST)
        return int(found.offset)
    finally:
        client.close()


def values(records: Sequence[Any]) -> list[bytes | None]:
    return [record.value for record in records]


def test_every_codec_and_tombstones_arrive_in_order(broker: Broker, topic_prefix: str, topic: TopicUnderTest) -> None:
    sent: list[bytes | None] = []
    for codec in ("none", "gzip", "snappy", "lz4", "zstd"):
        batch: list[tuple[bytes | None, bytes | None]] = [
            (b"k", f"{codec}-{number}".encode() * 20) for number in range(50)
        ] + [(b"k", None)]
        topic.produce_all(batch, compression_type=codec)
        sent += [value for _, value in batch]

    async def main() -> None:
        async with reading(broker, topic_prefix, [topic.name]) as (_, recorder, _):
            await recorder.until(len(sent))
            assert values(recorder.records) == sent

    asyncio.run(main())


def test_a_session_may_last_for_minutes(broker: Broker, topic_prefix: str, topic: TopicUnderTest) -> None:
    topic.produce(None, b"x")

    async def main() -> None:
        async with reading(broker, topic_prefix, [topic.name], session=300.0) as (_, recorder, _):
            await recorder.until(1)

    asyncio.run(main())


def test_a_restart_begins_at_what_the_ledger_called_safe(
    broker: Broker, topic_prefix: str, topic: TopicUnderTest
) -> None:
    topic.produce_all([(None, str(number).encode()) for number in range(1000)])

    async def first() -> None:
        async with reading(broker, topic_prefix, [topic.name], safe=lambda _: 400) as (_, recorder, _):
            await recorder.until(1000)

    async def second() -> None:
        async with reading(broker, topic_prefix, [topic.name]) as (_, recorder, _):
            await recorder.until(600)
            assert values(recorder.records) == [str(number).encode() for number in range(400, 1000)]

    asyncio.run(first())
    assert committed(broker, topic_prefix, topic.name) == 400
    asyncio.run(second())


class FaustsBookkeeping(ChunkConsumer):
    """Our consumer with the bookkeeping of the class that it replaces."""

    _add_gap = driver.Consumer._add_gap
    ack = driver.Consumer.ack
    _new_offset = driver.Consumer._new_offset
    _filter_tps_with_pending_acks = driver.Consumer._filter_tps_with_pending_acks


@pytest.mark.parametrize(("consumer", "lost"), [(FaustsBookkeeping, True), (ChunkConsumer, False)])
def test_fausts_own_bookkeeping_commits_records_that_nobody_has_processed(
    broker: Broker, topic_prefix: str, topic: TopicUnderTest, consumer: type[ChunkConsumer], lost: bool
) -> None:
    # The reason for the ledger: the second delivery looks like a gap, and a gap counts as acknowledged.
    async def main() -> None:
        processed: list[int] = []

        def slow(records: Sequence[Any]) -> int | None:
            processed.append(len(records))
            return None

        async with reading(broker, topic_prefix, [topic.name], safe=slow, consumer=consumer) as (_, recorder, _):
            topic.produce_all([(None, b"first")] * 10)
            await recorder.until(10)
            topic.produce_all([(None, b"second")] * 10)
            await recorder.until(20)
            await asyncio.sleep(1.0)

    asyncio.run(main())
    assert (committed(broker, topic_prefix, topic.name) > 0) is lost


def test_topics_that_come_and_go_while_running(
    broker: Broker, topic_prefix: str, new_topic: Callable[..., TopicUnderTest]
) -> None:
    one, two = new_topic(topic_prefix + "one"), new_topic(topic_prefix + "two")

    async def main() -> None:
        async with reading(broker, topic_prefix, [one.name]) as (_, recorder, wanted):
            one.produce(None, b"1")
            await recorder.until(1)
            wanted.add(two.name)
            two.produce(None, b"2")
            await recorder.until(2)
            wanted.remove(one.name)
            two.produce(None, b"3")
            await recorder.until(3)
            assert values(recorder.records) == [b"1", b"2", b"3"]

    asyncio.run(main())


class Follower(Recorder):
    """Takes in what it has not got yet, as the agents do."""

    async def records_arrived(self, tp: TP, records: Sequence[Any]) -> None:
        new = [record for record in records if record.offset >= (self.position(tp) or 0)]
        if new:
            await super().records_arrived(tp, new)


def test_no_record_is_left_out_by_rebalances_while_records_flow(
    broker: Broker, topic_prefix: str, new_topic: Callable[..., TopicUnderTest]
) -> None:
    # What came before the re-reading of a rebalance once followed on a gap, which the agents took for compaction.
    one, two = new_topic(topic_prefix + "one"), new_topic(topic_prefix + "two")
    stopping = threading.Event()
    number = itertools.count()

    def write() -> None:
        producer = kafka.producer(broker.bootstrap)
        while not stopping.wait(0.01):
            producer.produce(one.name, b"%d" % next(number))
            producer.poll(0)
        assert producer.flush(REQUEST) == 0

    async def main() -> None:
        async with reading(broker, topic_prefix, [one.name], agent=Follower) as (_, recorder, wanted):
            writing = threading.Thread(target=write)
            writing.start()
            try:
                for _ in range(15):
                    for change in (wanted.add, wanted.remove):
                        generations = len(recorder.committed)
                        change(two.name)
                        async with asyncio.timeout(EVENT):
                            while len(recorder.committed) == generations:
                                await asyncio.sleep(0.01)
                        await asyncio.sleep(0.2)
            finally:
                stopping.set()
                writing.join()
            sent = next(number)
            async with asyncio.timeout(EVENT):
                while (recorder.position(TP(one.name, 0)) or 0) < sent:
                    await asyncio.sleep(0.02)
            assert values(recorder.records) == [b"%d" % each for each in range(sent)]

    asyncio.run(main())


def test_an_app_may_start_without_data_topics(
    broker: Broker, topic_prefix: str, topic: TopicUnderTest, new_topic: Callable[..., TopicUnderTest]
) -> None:
    new_topic(topic_prefix + "control")

    async def main() -> None:
        async with reading(broker, topic_prefix, [], named=("control",)) as (_, recorder, wanted):
            await asyncio.sleep(0.5)
            wanted.add(topic.name)
            topic.produce(None, b"x")
            await recorder.until(1)
            assert values(recorder.records) == [b"x"]

    asyncio.run(main())


def test_offset_gaps_of_transactions_lose_nothing(broker: Broker, topic_prefix: str, topic: TopicUnderTest) -> None:
    producer = kafka.producer(broker.bootstrap, transactional_id=topic_prefix + "tx")
    producer.init_transactions(REQUEST)
    for number in range(5):
        producer.begin_transaction()
        producer.produce(topic.name, str(number).encode())
        producer.commit_transaction(REQUEST)

    async def main() -> None:
        async with reading(broker, topic_prefix, [topic.name]) as (_, recorder, _):
            await recorder.until(5)
            assert values(recorder.records) == [b"0", b"1", b"2", b"3", b"4"]

    asyncio.run(main())
    # Each commit marker takes an offset: the last record lies at 8.
    assert committed(broker, topic_prefix, topic.name) == 9


class Transactions:
    """A transactional producer for one topic."""

    def __init__(self, topic: TopicUnderTest) -> None:
        self._producer = kafka.producer(topic.bootstrap, transactional_id=topic.name)
        self._producer.init_transactions(REQUEST)
        self._topic = topic.name

    def write(self, *values: bytes, partition: int = 0) -> None:
        """Begin a transaction with these records, and see them arrive."""
        self._producer.begin_transaction()
        for value in values:
            self._producer.produce(self._topic, value, partition=partition)
        assert self._producer.flush(REQUEST) == 0

    def commit(self) -> None:
        self._producer.commit_transaction(REQUEST)

    def abort(self) -> None:
        self._producer.abort_transaction(REQUEST)


def test_aborted_transactions_are_not_read(broker: Broker, topic_prefix: str, topic: TopicUnderTest) -> None:
    transactions = Transactions(topic)

    async def main() -> None:
        async with reading(broker, topic_prefix, [topic.name]) as (_, recorder, _):
            for number, end in enumerate([transactions.commit, transactions.abort, transactions.commit]):
                transactions.write(b"%d" % number, b"%d" % number)
                end()
            await recorder.until(4)
            assert values(recorder.records) == [b"0", b"0", b"2", b"2"]

    asyncio.run(main())


async def confirmed(app: App, tp: TP, offset: int, after: float) -> float:
    """Wait for a confirmation from after a moment that nothing follows an offset."""
    async with asyncio.timeout(EVENT):
        while (found := app.at_end(tp, offset)) is None or found < after:
            await asyncio.sleep(0.02)
    return found


@pytest.mark.parametrize("commits", [True, False])
def test_a_partition_that_ends_with_a_marker_has_been_read_to_its_end(
    broker: Broker, topic_prefix: str, topic: TopicUnderTest, commits: bool
) -> None:
    transactions, tp = Transactions(topic), TP(topic.name, 0)
    topic.produce(None, b"first")

    async def main() -> None:
        async with reading(broker, topic_prefix, [topic.name]) as (app, recorder, _):
            await recorder.until(1)
            await confirmed(app, tp, 1, time.monotonic())
            transactions.write(b"second")
            # What an open transaction holds follows, although it can't be read yet.
            async with asyncio.timeout(EVENT):
                while app.at_end(tp, 1) is not None:
                    await asyncio.sleep(0.02)
            if commits:
                transactions.commit()
                await recorder.until(2)
                assert app.at_end(tp, 1) is None
            else:
                transactions.abort()
            await confirmed(app, tp, recorder.records[-1].offset + 1, time.monotonic())
            assert len(recorder.records) == 1 + commits
            assert app.outage(tp) is None

    asyncio.run(main())


def test_what_was_fetched_and_not_processed_yet_follows(
    broker: Broker, topic_prefix: str, topic: TopicUnderTest
) -> None:
    tp = TP(topic.name, 0)
    topic.produce_all([(None, b"x")] * 10)

    async def main() -> None:
        async with reading(broker, topic_prefix, [topic.name]) as (app, recorder, _):
            await recorder.until(10)
            await confirmed(app, tp, 10, time.monotonic())
            assert app.at_end(tp, 9) is None

    asyncio.run(main())


def test_what_retention_deletes_before_it_is_read_is_told(
    broker: Broker, topic_prefix: str, topic: TopicUnderTest
) -> None:
    tp = TP(topic.name, 0)

    async def first() -> None:
        async with reading(broker, topic_prefix, [topic.name]) as (_, recorder, _):
            topic.produce_all([(None, b"x")] * 10)
            await recorder.until(10)

    async def second() -> None:
        async with reading(broker, topic_prefix, [topic.name]) as (app, recorder, _):
            topic.produce(None, b"last")
            await recorder.until(1)
            assert values(recorder.records) == [b"last"]
            assert recorder.losses == [(tp, 10, 25)]
            await confirmed(app, tp, 26, time.monotonic())

    asyncio.run(first())
    topic.produce_all([(None, b"y")] * 15)
    for future in broker.admin().delete_records([TopicPartition(topic.name, 0, 25)]).values():
        future.result(REQUEST)
    asyncio.run(second())


def make_anew(broker: Broker, topic: TopicUnderTest, new_topic: Callable[..., TopicUnderTest]) -> None:
    for future in broker.admin().delete_topics([topic.name]).values():
        future.result(REQUEST)
    deadline = time.monotonic() + 60
    while True:
        try:
            new_topic(topic.name)
            return
        except KafkaException:
            assert time.monotonic() < deadline
            time.sleep(0.05)


@pytest.mark.parametrize("records", [3, 30])
def test_a_topic_that_is_made_anew_is_read_from_its_beginning(
    broker: Broker,
    topic_prefix: str,
    topic: TopicUnderTest,
    new_topic: Callable[..., TopicUnderTest],
    records: int,
) -> None:
    partitions = Partitions({"bootstrap.servers": broker.bootstrap})

    async def main() -> None:
        async with reading(broker, topic_prefix, [topic.name]) as (_, recorder, _):
            recorder.partitions_of, recorder.ids = partitions, partitions.ids([topic.name])
            topic.produce_all([(None, b"old")] * 10)
            await recorder.until(10)
            await asyncio.to_thread(make_anew, broker, topic, new_topic)
            topic.produce_all([(None, b"new %d" % number) for number in range(records)])
            await recorder.until(10 + records)
            assert values(recorder.records)[10:] == [b"new %d" % number for number in range(records)]
            assert recorder.losses == []
            assert recorder.ids == partitions.ids([topic.name])

    asyncio.run(main())


def ends_with(value: bytes, messages: list[Message]) -> bool:
    return bool(messages) and messages[-1].value() == value


def test_offset_gaps_of_compaction_lose_nothing(
    broker: Broker, topic_prefix: str, new_topic: Callable[..., TopicUnderTest]
) -> None:
    quickly = {"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0.001", "segment.ms": "100"}
    topic = new_topic(topic_prefix + "compacted", config=quickly)
    for number in range(20):
        topic.produce(b"same" if number % 5 else f"key-{number}".encode(), str(number).encode())
    left = [b"0", b"5", b"10", b"15", b"19"]

    # The segment that is written to is never compacted: a new one begins with the next record.
    deadline = time.monotonic() + EVENT
    found: list[bytes | None] = []
    while found != left:
        assert time.monotonic() < deadline, found
        time.sleep(0.3)
        last = str(time.monotonic()).encode()
        topic.produce(b"roll", last)
        messages = topic.consume_until(partial(ends_with, last))
        found = [message.value() for message in messages if message.key() != b"roll"]

    async def main() -> None:
        async with reading(broker, topic_prefix, [topic.name]) as (_, recorder, _):
            await recorder.until(len(left))
            assert values(recorder.records)[: len(left)] == left

    asyncio.run(main())


def test_two_workers_share_the_partitions(
    broker: Broker, topic_prefix: str, new_topic: Callable[..., TopicUnderTest]
) -> None:
    topic = new_topic(topic_prefix + "shared", partitions=4)

    async def main() -> None:
        async with reading(broker, topic_prefix, [topic.name]) as (one, first, _):
            await asyncio.wait_for(one.assigned.wait(), EVENT)
            async with reading(broker, topic_prefix, [topic.name]) as (_, second, _):
                async with asyncio.timeout(EVENT):
                    while not second.committed or len(second.committed[-1]) != 2 or len(first.committed[-1]) != 2:
                        await asyncio.sleep(0.05)
                for partition in range(4):
                    topic.produce_all([(None, b"v")] * 25, partition=partition)
                async with asyncio.timeout(EVENT):
                    while len(first.records) + len(second.records) < 100:
                        await asyncio.sleep(0.02)
                assert first.partitions.isdisjoint(second.partitions)
                assert len(second.records) == 50

    asyncio.run(main())


def test_the_transport_is_ours(broker: Broker, topic_prefix: str) -> None:
    settings = Settings(brokers=broker.bootstrap, prefix=topic_prefix)
    app = App(settings, Ledger(), data=Nobody(), named={}, failed=lambda _: None)
    assert isinstance(app.faust.transport, ChunkTransport)
