from __future__ import annotations

import asyncio

import pytest
from confluent_kafka import KafkaError, KafkaException

from streams.kafka.outbox import DeliveryFailed, Outbox
from tests.conftest import Broker, TopicUnderTest
from tests.deadlines import EVENT


def test_a_barrier_returns_when_everything_before_it_has_arrived(broker: Broker, topic: TopicUnderTest) -> None:
    async def main() -> None:
        outbox = Outbox({"bootstrap.servers": broker.bootstrap})
        for number in range(5_000):
            await outbox.send(topic.name, str(number).encode())
        await outbox.barrier()
        there = await asyncio.to_thread(topic.everything)
        assert [message.value() for message in there] == [str(number).encode() for number in range(5_000)]
        await outbox.barrier()
        assert outbox.close() == 0

    asyncio.run(main())


def test_barriers_wait_for_those_before_them(broker: Broker, topic: TopicUnderTest) -> None:
    async def main() -> None:
        outbox = Outbox({"bootstrap.servers": broker.bootstrap}, linger_ms=200)
        order: list[str] = []

        async def after(name: str) -> None:
            await outbox.barrier()
            order.append(name)

        outbox.produce(topic.name, b"one")
        first = asyncio.create_task(after("first"))
        await asyncio.sleep(0)
        second = asyncio.create_task(after("second"))
        await asyncio.gather(first, second)
        assert order == ["first", "second"]
        outbox.close()

    asyncio.run(main())


def test_a_record_that_kafka_refuses_fails_the_barrier(broker: Broker, topic: TopicUnderTest) -> None:
    async def main() -> None:
        outbox = Outbox({"bootstrap.servers": broker.bootstrap}, compression="none")
        outbox.produce(topic.name, b"x" * 5_000_000)
        with pytest.raises(DeliveryFailed):
            await outbox.barrier()
        outbox.close()

    asyncio.run(main())


def test_a_record_that_the_client_refuses_is_not_waited_for(broker: Broker, topic: TopicUnderTest) -> None:
    async def main() -> None:
        outbox = Outbox({"bootstrap.servers": broker.bootstrap})
        outbox.produce(topic.name, b"before")
        with pytest.raises(KafkaException) as refused:
            await outbox.send(topic.name, b"x" * 17_000_001)
        assert refused.value.args[0].code() == KafkaError.MSG_SIZE_TOO_LARGE
        await asyncio.wait_for(outbox.barrier(), EVENT)
        await outbox.send(topic.name, b"after")
        await asyncio.wait_for(outbox.barrier(), EVENT)
        there = await asyncio.to_thread(topic.everything)
        assert [message.value() for message in there] == [b"before", b"after"]
        assert outbox.close() == 0

    asyncio.run(main())
