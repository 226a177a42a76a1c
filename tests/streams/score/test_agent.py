"""What is written when: a model's checkpoint says that its results are there."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from faust.types import TP

from deploy.topics import apply
from schemas.partial import encode_partial
from streams.dead_letters import DeadLetters
from streams.detectors import Running
from streams.score.agent import Score
from streams.settings import Settings
from streams.transport import Ledger
from tests.conftest import Broker
from tests.streams.ingest.plans import Record
from tests.streams.score.test_partition import run_of, said

WINDOWS = 60


class View:
    """The view of detectors in which one runs."""

    def __init__(self, running: Running) -> None:
        self.scored = {running.plan.owner: running}
        self.known = {running.plan.owner}

    def has_ended(self, owner: str, run: int) -> bool:
        return owner not in self.scored


class Sent:
    """Keeps the names of the topics in the order of sending; ``full`` is what a send of results waits for."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.full: asyncio.Event | None = None

    async def send(self, topic: str, value: bytes | None, **_: Any) -> None:
        name = topic.rpartition(".")[2]
        if name == "results" and self.full is not None and self.log.count("results") == WINDOWS // 2:
            await self.full.wait()
        self.log.append(name)

    async def barrier(self) -> None:
        self.log.append("arrived")


def scored(broker: Broker, prefix: str, then: Callable[[Score, Sent, list[Record], TP], Awaitable[None]]) -> list[str]:
    """What a scorer has sent that was given the windows of one entity, after ``then``."""
    settings = Settings(brokers=broker.bootstrap, prefix=prefix, model_partitions=1)
    apply(settings.client(), prefix=prefix, model_partitions=1, replication=1)
    sent, failures = Sent(), list[BaseException]()

    async def main() -> None:
        view: Any = View(run_of(category_field=["host"]).running)
        outbox: Any = sent
        score = Score(
            settings, view, outbox, Ledger(), dead_letters=DeadLetters(settings, outbox), failed=failures.append
        )
        tp = TP(settings.topic("partials"), 0)
        await score.assigned({tp: 0})
        ends = range(1000, 1000 * (WINDOWS + 1), 1000)
        records = [Record(at, encode_partial(said(end, {end: {"a": 1.0}}))) for at, end in enumerate(ends)]
        await then(score, sent, records, tp)

    asyncio.run(main())
    assert failures == []
    return sent.log


def test_a_checkpoint_is_written_when_the_results_before_it_have_arrived(broker: Broker, topic_prefix: str) -> None:
    async def then(score: Score, _: Sent, records: list[Record], tp: TP) -> None:
        await score.records_arrived(tp, records)
        await score.checkpoint(everything=True)

    log = scored(broker, topic_prefix, then)
    assert log.count("results") == WINDOWS
    assert "arrived" in log[max(at for at, name in enumerate(log) if name == "results") : log.index("checkpoints")]


def test_no_checkpoint_is_taken_while_results_wait_for_room(broker: Broker, topic_prefix: str) -> None:
    async def then(score: Score, sent: Sent, records: list[Record], tp: TP) -> None:
        sent.full = asyncio.Event()
        scoring = asyncio.create_task(score.records_arrived(tp, records))
        await asyncio.sleep(0)
        checkpoint = asyncio.create_task(score.checkpoint(everything=True))
        await asyncio.sleep(0.05)
        assert not scoring.done()
        assert "checkpoints" not in sent.log
        sent.full.set()
        await asyncio.gather(scoring, checkpoint)

    log = scored(broker, topic_prefix, then)
    assert log.index("checkpoints") > max(at for at, name in enumerate(log) if name == "results")


def test_models_that_cannot_be_read_back_end_the_worker(topic_prefix: str) -> None:
    # Nobody listens at that port.
    settings = Settings(brokers="127.0.0.1:1", prefix=topic_prefix, model_partitions=1)
    failures: list[BaseException] = []

    async def main() -> None:
        view: Any = View(run_of(category_field=["host"]).running)
        outbox: Any = Sent()
        score = Score(
            settings, view, outbox, Ledger(), dead_letters=DeadLetters(settings, outbox), failed=failures.append
        )
        score._read_models = unreachable  # type: ignore[method-assign]
        try:
            await score.assigned({TP("partials", 0): 0})
        except ConnectionError:
            await asyncio.sleep(0)

    asyncio.run(main())
    assert [type(each) for each in failures] == [ConnectionError]


def unreachable(number: int, owners: frozenset[str]) -> Any:
    raise ConnectionError("Kafka is away")
