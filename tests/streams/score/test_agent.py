"""What is written when: a model's checkpoint says that its results are there."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any, cast

import pytest
from msgspec import structs

from schemas.partial import encode_partial
from schemas.result import Result, decode_result
from streams.dead_letters import DeadLetters
from streams.fencing.fence import Fold
from streams.fencing.shares import ShareLost, Shares
from streams.kafka.clock import KafkaClock
from streams.kafka.tp import TP
from streams.running import Running
from streams.score.agent import Score
from streams.score.store import FENCES
from streams.settings import Settings
from streams.transport import Ledger
from tests.streams.ingest.plans import Record
from tests.streams.memory import MemoryLog
from tests.streams.score.test_partition import run_of, said

SETTINGS = Settings(brokers="127.0.0.1:1", prefix="t.", model_partitions=1)
TP0 = TP(SETTINGS.topic("partials"), 0)

WINDOWS = 60


class View:
    """The view of detectors in which these run."""

    def __init__(self, *running: Running) -> None:
        self.scored = {each.plan.owner: each for each in running}
        self.known = frozenset(self.scored)

    def has_ended(self, owner: str, run: int) -> bool:
        return owner not in self.scored


class Sent(MemoryLog):
    """``full`` is what a send of results waits for."""

    def __init__(self) -> None:
        super().__init__()
        self.full: asyncio.Event | None = None

    async def send(self, topic: str, value: bytes | None, **rest: Any) -> None:
        if topic.endswith(".results") and self.full is not None and self.names.count("results") == WINDOWS // 2:
            await self.full.wait()
        await super().send(topic, value, **rest)


def scorer(
    log: Any, *running: Running, generation: int = 1, ledger: Ledger | None = None, clock: KafkaClock | None = None
) -> Score:
    """A scorer of one model partition."""
    settings, view = SETTINGS, View(*running)
    return Score(
        settings,
        cast(Any, view),
        log,
        ledger or Ledger(),
        clock=clock or KafkaClock(),
        open_shares=lambda number: Shares(settings, log, log, "checkpoints", number, generation=lambda: generation),
        dead_letters=DeadLetters(settings, log),
        failed=fail,
    )


def fail(error: BaseException) -> None:
    raise AssertionError(error)


def partials(first: int, last: int, *entities: str) -> list[Record]:
    """One record for each window from ``first`` to ``last``, at the offset of its number."""
    return [
        Record(number, encode_partial(said(1000 * (number + 1), {1000 * (number + 1): dict.fromkeys(entities, 1.0)})))
        for number in range(first, last + 1)
    ]


def test_a_checkpoint_is_written_when_the_results_before_it_have_arrived() -> None:
    async def main() -> list[str]:
        log = Sent()
        score = scorer(log, run_of(category_field=["host"]).running)
        await score.assigned({TP0: 0})
        await score.records_arrived(TP0, partials(0, WINDOWS - 1, "a"))
        log.names.clear()
        await score.records_arrived(TP0, partials(WINDOWS, WINDOWS, "a"))
        await score.checkpoint(everything=True)
        return log.names

    names = asyncio.run(main())
    assert names.index("results") < names.index("arrived") < names.index("checkpoints")
    assert "arrived" in names[names.index("checkpoints") :]


def test_results_have_kafkas_time_whatever_the_worker_takes_for_the_time() -> None:
    async def main() -> Result:
        log, clock = Sent(), KafkaClock(wall=lambda: 0.0, monotonic=lambda: 100.0)
        clock.sample(sent=100.0, reported=100.0, appended_ms=1_700_000_000_000)
        score = scorer(log, run_of(category_field=["host"]).running, clock=clock)
        await score.assigned({TP0: 0})
        await score.records_arrived(TP0, partials(0, 0, "a"))
        (record,) = log.records[SETTINGS.topic("results"), 0]
        return decode_result(record.value() or b"")

    result = asyncio.run(main())
    assert (result.execution_start_time, result.execution_end_time) == (1_700_000_000_000, 1_700_000_000_000)


def test_no_checkpoint_is_taken_while_results_wait_for_room() -> None:
    async def main() -> list[str]:
        log = Sent()
        score = scorer(log, run_of(category_field=["host"]).running)
        await score.assigned({TP0: 0})
        log.names.clear()
        log.full = asyncio.Event()
        scoring = asyncio.create_task(score.records_arrived(TP0, partials(0, WINDOWS - 1, "a")))
        await asyncio.sleep(0)
        checkpoint = asyncio.create_task(score.checkpoint(everything=True))
        for _ in range(100):
            await asyncio.sleep(0)
        assert not scoring.done()
        assert "checkpoints" not in log.names
        log.full.set()
        await asyncio.gather(scoring, checkpoint)
        return log.names

    names = asyncio.run(main())
    assert names.index("checkpoints") > max(at for at, name in enumerate(names) if name == "results")


class Cut(MemoryLog):
    """Cancels whoever does the ``at``-th thing of those that wait for Kafka, once armed."""

    at: int | None = None

    async def send(self, topic: str, value: bytes | None, **rest: Any) -> None:
        self._cut()
        await super().send(topic, value, **rest)

    async def barrier(self) -> None:
        self._cut()
        await super().barrier()

    def _cut(self) -> None:
        if self.at is not None:
            self.at -= 1
            if self.at < 0:
                raise asyncio.CancelledError


@pytest.mark.parametrize("way", ["checkpoint", "stop of the detector", "eviction"])
def test_a_checkpoint_that_is_cut_off_anywhere_loses_nothing_that_models_learned(way: str) -> None:
    running = run_of(category_field=["host"]).running
    entities = ("a", "b", "c")

    async def learned(score: Score) -> dict[str, int]:
        models = score.partitions[0].runs["d"].models
        assert models is not None
        return {entity: models.seen(entity) for entity in entities}

    async def story(at: int) -> bool:
        """Cut off the ``at``-th step; whether there were as many."""
        log, ledger = Cut(), Ledger()
        score = scorer(log, running, ledger=ledger)
        if way == "eviction":
            score._settings = replace(SETTINGS, models_in_memory=1)
        await score.assigned({TP0: 0})
        await score.records_arrived(TP0, partials(0, 9, *entities))
        log.at = at
        try:
            if way == "stop of the detector":
                cast(Any, score._detectors).scored = {}
                await score.refresh()
            await score.checkpoint(everything=way == "checkpoint")
        except asyncio.CancelledError:
            log.at = None
            # Whatever else the worker still does: nothing that is not stored may be called safe.
            await score.checkpoint()
        ended, log.at = log.at is not None, None
        safe = ledger.safe(TP0) or 0
        after = scorer(log, running, generation=2)
        await after.assigned({TP0: safe})
        if safe < 10:
            await after.records_arrived(TP0, partials(safe, 9, *entities))
        assert await learned(after) == dict.fromkeys(entities, 10)
        return ended

    at = 0
    while not asyncio.run(story(at)):
        at += 1
    assert at >= 4


def test_what_a_paused_worker_stores_when_it_wakes_up_changes_nothing() -> None:
    running = run_of(category_field=["host"]).running

    def results(log: MemoryLog) -> dict[str, set[tuple[Any, ...]]]:
        found: dict[str, set[tuple[Any, ...]]] = {}
        for record in log.records[SETTINGS.topic("results"), 0]:
            result = json.loads(record.value() or b"")
            found.setdefault(result["id"], set()).add((result["anomaly_score"], result["feature_data"][0]["data"]))
        return found

    async def main() -> None:
        log = MemoryLog()
        paused = scorer(log, running, generation=1)
        await paused.assigned({TP0: 0})
        await paused.records_arrived(TP0, partials(0, 49, "a"))
        successor = scorer(log, running, generation=2)
        await successor.assigned({TP0: 0})
        await successor.records_arrived(TP0, partials(0, 99, "a"))
        await successor.checkpoint(everything=True)
        # It has another fetch in memory, and then stores what it learned.
        await paused.records_arrived(TP0, partials(50, 69, "a"))
        await paused.checkpoint(everything=True)
        third = scorer(log, running, generation=3)
        await third.assigned({TP0: 100})
        models = third.partitions[0].runs["d"].models
        assert models is not None
        assert models.seen("a") == 100
        assert {len(values) for values in results(log).values()} == {1}
        assert len(results(log)) == 100

    asyncio.run(main())


def test_a_claim_that_comes_after_that_of_a_later_generation_is_refused() -> None:
    async def main() -> None:
        log = MemoryLog()
        running = run_of(category_field=["host"]).running
        await scorer(log, running, generation=7).assigned({TP0: 0})
        with pytest.raises(ShareLost, match="generation 7"):
            await scorer(log, running, generation=6).assigned({TP0: 0})

    asyncio.run(main())


def test_models_go_on_after_a_rename_and_begin_anew_after_a_change_of_what_they_learn() -> None:
    def seen(before: Running, after: Running) -> tuple[int, str]:
        async def main() -> tuple[int, str]:
            log = MemoryLog()
            first = scorer(log, before)
            await first.assigned({TP0: 0})
            await first.records_arrived(TP0, partials(0, 9, "a"))
            await first.checkpoint(everything=True)
            second = scorer(log, after, generation=2)
            await second.assigned({TP0: 10})
            run = second.partitions[0].runs["d"]
            assert run.models is not None
            return run.models.seen("a"), run.note

        return asyncio.run(main())

    def feature(name: str, kind: str) -> dict[str, Any]:
        return {"feature_attributes": [{"feature_name": name, "aggregation_query": {name: {kind: {"field": "v"}}}}]}

    def running(**members: Any) -> Running:
        return run_of(category_field=["host"], **members).running

    assert seen(running(**feature("load", "sum")), running(**feature("busy", "sum"))) == (10, "")
    rows, note = seen(running(**feature("load", "sum")), running(**feature("load", "max")))
    assert rows == 0
    assert "began anew" in note
    minutes = {"detection_interval": {"period": {"interval": 1, "unit": "Minutes"}}}
    assert seen(running(), running(**minutes))[0] == 0


def test_deleted_detectors_and_entities_that_are_gone_leave_no_checkpoints() -> None:
    def names(log: MemoryLog) -> set[str]:
        fold = Fold("models/0")
        for record in log.records[SETTINGS.topic("checkpoints"), 0]:
            fold.add(record.offset(), (record.key() or b"").decode(), record.value())
        return {name for name, held in fold.held.items() if held.value is not None and name != FENCES}

    async def main() -> None:
        log, ledger = MemoryLog(), Ledger()
        score = scorer(log, run_of(category_field=["host"]).running, ledger=ledger)
        await score.assigned({TP0: 0})
        await score.records_arrived(TP0, partials(0, 0, "pod-1", "pod-2"))
        later = 40 * 86_400
        await score.records_arrived(TP0, [Record(1, partials(later, later, "pod-2")[0].value)])
        await score.checkpoint(everything=True)
        assert names(log) == {"d|pod-1", "d|pod-2"}
        for _ in range(3):
            await score.forget()
        assert names(log) == {"d|pod-2"}
        view = cast(Any, score._detectors)
        view.scored, view.known = {}, frozenset()
        await score.refresh()
        await score.forget()
        assert names(log) == {"d|pod-2"}, "somebody else may know it already"
        await score.forget()
        assert names(log) == set()

    asyncio.run(main())


def test_models_that_cannot_be_read_back_end_the_worker() -> None:
    class Away(MemoryLog):
        def whole(self, topic: str, partitions: list[int]) -> Any:
            raise ConnectionError("Kafka is away")

    async def main() -> None:
        with pytest.raises(ConnectionError):
            await scorer(Away(), run_of(category_field=["host"]).running).assigned({TP0: 0})

    asyncio.run(main())


def test_a_new_scorer_refuses_what_the_former_owner_of_a_source_wrote_before_it_came() -> None:
    def partial(number: int, epoch: int, value: float) -> Record:
        end = 1000 * (number + 1)
        return Record(number, encode_partial(structs.replace(said(end, {end: {"a": value}}), epoch=epoch)))

    async def main() -> None:
        log, ledger = MemoryLog(), Ledger()
        running = run_of(category_field=["host"]).running
        first = scorer(log, running, ledger=ledger)
        await first.assigned({TP0: 0})
        await first.records_arrived(TP0, [partial(0, 3, 1.0), partial(1, 8, 2.0)])
        await first.checkpoint(everything=True)
        safe = ledger.safe(TP0)
        assert safe == 2
        second = scorer(log, running, generation=2)
        await second.assigned({TP0: safe})
        await second.records_arrived(TP0, [partial(2, 3, 99.0), Record(3, partial(2, 8, 3.0).value)])
        values = [
            json.loads(record.value() or b"")["feature_data"][0]["data"]
            for record in log.records[SETTINGS.topic("results"), 0]
        ]
        assert values == [1.0, 2.0, 3.0]

    asyncio.run(main())
