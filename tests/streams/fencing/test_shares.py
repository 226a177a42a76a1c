"""Taking shares over on a real Kafka."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from deploy.topics.apply import apply
from streams.fencing.fence import Held
from streams.fencing.share import Share
from streams.fencing.shares import Shares
from streams.kafka.log import KafkaLog
from streams.kafka.outbox import Outbox
from streams.settings import Settings
from tests.conftest import Broker, TopicUnderTest


def run(broker: Broker, prefix: str, main: Callable[[Shares, Outbox], Coroutine[Any, Any, None]]) -> None:
    """Run something with shares of topics of its own."""
    settings = Settings(brokers=broker.bootstrap, prefix=prefix, model_partitions=1)
    apply(settings.client(), prefix=prefix, model_partitions=1, replication=1)

    async def work() -> None:
        outbox = Outbox(settings.client())
        try:
            await main(Shares(settings, outbox, KafkaLog(settings.client()), "windows", generation=lambda: 1), outbox)
        finally:
            outbox.close()

    asyncio.run(work())


async def one(shares: Shares, name: str) -> Share:
    return (await shares.take_over([name]))[name]


def test_the_next_owner_finds_what_the_last_one_wrote_and_nothing_that_came_later(
    broker: Broker, topic_prefix: str
) -> None:
    async def main(shares: Shares, outbox: Outbox) -> None:
        first = await one(shares, "m/0")
        assert first.held == {}
        await shares.write([*first.write("a", b"1"), *first.write("b", b"2"), *first.delete("b")])
        second = await one(shares, "m/0")
        assert second.held == {"a": Held(first.epoch, b"1"), "b": Held(first.epoch, None)}
        await shares.write([*first.write("a", b"stale"), *first.write("c", b"stale")])
        await shares.write(second.write("a", b"3"))
        await shares.write(first.write("a", b"stale"))
        third = await one(shares, "m/0")
        assert third.held["a"] == Held(second.epoch, b"3")
        assert "c" not in third.held
        assert first.epoch < second.epoch < third.epoch

    run(broker, topic_prefix, main)


def test_shares_that_are_taken_over_at_a_time_are_read_at_once(broker: Broker, topic_prefix: str) -> None:
    async def main(shares: Shares, outbox: Outbox) -> None:
        for name in ("m/0", "m/1", "m/2", "task/m/0"):
            await shares.write((await one(shares, name)).write("0", name.encode()))
        reads = 0
        fold = shares._fold

        def counted(names: Any) -> Any:
            nonlocal reads
            reads += 1
            return fold(names)

        shares._fold = counted  # type: ignore[method-assign]
        taken = await asyncio.gather(shares.take_over(["m/0", "m/1"]), one(shares, "m/2"), one(shares, "task/m/0"))
        found = {**taken[0], "m/2": taken[1], "task/m/0": taken[2]}
        assert {name: share.held["0"].value for name, share in found.items()} == {name: name.encode() for name in found}
        # One may have begun to read before the others had claimed.
        assert reads <= 2

    run(broker, topic_prefix, main)


def test_what_is_given_back_leaves_nothing_behind(broker: Broker, topic_prefix: str) -> None:
    async def main(shares: Shares, outbox: Outbox) -> None:
        share = await one(shares, "task/m/0")
        await shares.write(share.write("0", b"1"))
        again = await one(shares, "task/m/0")
        await shares.give_back(again)
        await outbox.barrier()

    run(broker, topic_prefix, main)
    left = {
        record.key(): record.value()
        for record in TopicUnderTest(broker.bootstrap, topic_prefix + "windows", 1).everything()
    }
    assert set(left.values()) == {None}
