from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any, cast

import numpy as np

from schemas.command import TaskProgress, decode_event
from schemas.state import Run, StoredTask, decode_state
from schemas.task import DateRange, Task
from streams.detectors import Detectors
from streams.features.plan import Plan
from streams.kafka.clock import KafkaClock
from streams.kafka.outbox import Outbox
from streams.running import Running, forest_spec
from streams.score.merge import RunMerge
from streams.score.models import DetectorModels, Events
from streams.score.partition import RunScore
from streams.score.reports import WRITES, Reports
from streams.settings import Settings
from tests.schemas.documents import feature, parsed

ENTITIES = 12_500
"""What one of eight model partitions has of a hundred thousand."""


class Topics:
    """An outbox that keeps what is sent."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, bytes]] = []

    async def send(self, topic: str, value: bytes, **_: Any) -> None:
        """Keep it."""
        self.sent.append((topic, value))

    async def barrier(self) -> None:
        """Everything has arrived."""

    def take(self) -> tuple[list[StoredTask], list[TaskProgress]]:
        """The entity tasks and the progress since the last time."""
        sent, self.sent = self.sent, []
        tasks = [decode_state(value) for topic, value in sent if topic == "riverwatch.state"]
        events = [decode_event(value) for topic, value in sent if topic == "riverwatch.control"]
        assert len(tasks) + len(events) == len(sent)
        return cast("list[StoredTask]", tasks), cast("list[TaskProgress]", events)


def analysis() -> RunScore:
    """One of a detector by host, on its only model partition."""
    detector = parsed(category_field=["host"], feature_attributes=[feature("f", "avg", "v")])
    plan = Plan.build(owner="task", run=1, detector_id="d", detector=detector, partitions=1, most_delay_ms=60_000)
    task = Task(
        task_type="HISTORICAL_HC_DETECTOR", state="RUNNING", detector_id="d", execution_start_time=0,
        last_update_time=0, detection_date_range=DateRange(0, 10**9), detector={"name": "d"},
    )  # fmt: skip
    spec = forest_spec("d", detector)
    running = Running(detector, Run(id=1, sources={"m": {0: 0}}), plan, spec, task=task)
    run = RunScore(
        running, RunMerge(plan.columns, running.sources), DetectorModels("task", spec, checkpoint_windows=50)
    )
    run.first_offset = 0
    return run


def score(run: RunScore, entities: int, windows: range) -> None:
    """So many windows of each of the entities."""
    assert run.models is not None
    names = [f"host-{number}" for number in range(entities)]
    for window in windows:
        ends = np.full(entities, 60_000 * (window + 1))
        run.models.score(1, Events(names, ends, np.ones((entities, 1)), ends * 0), now=0)


def reports(topics: Topics) -> Reports:
    """Of a worker that has nothing else to do."""
    settings = Settings()
    return Reports(settings, Detectors(settings), cast("Outbox", topics), KafkaClock())


def test_a_hundred_thousand_entities_do_not_flood_the_state_topic() -> None:
    async def tell() -> None:
        topics, run = Topics(), analysis()
        telling = reports(topics)
        score(run, ENTITIES, range(1))
        for _ in range(3):
            await telling.tell(0, run)
        begun, progress = topics.take()
        assert len(begun) == len({task.id for task in begun}) == 3 * WRITES
        assert [each.entities for each in progress] == [ENTITIES]
        await telling.done(0, run)
        ended, _ = topics.take()
        assert len(ended) == len({task.id for task in ended}) == ENTITIES
        assert {task.document.state for task in ended} == {"FAILED"}
        assert max(Counter(task.version for task in ended)) == 2

    asyncio.run(tell())


def test_every_change_of_a_few_entities_is_told_and_nothing_without_one() -> None:
    async def tell() -> None:
        topics, run = Topics(), analysis()
        telling = reports(topics)
        for windows, state, share in ((range(16), "INIT", 0.5), (range(16, 40), "RUNNING", 1.0)):
            score(run, 3, windows)
            await telling.tell(0, run)
            tasks, _ = topics.take()
            assert {task.document.state for task in tasks} == {state}
            assert {task.document.init_progress for task in tasks} == {share}
            assert sorted(task.document.entity[0].value for task in tasks if task.document.entity) == [
                "host-0",
                "host-1",
                "host-2",
            ]
            await telling.tell(0, run)
            assert topics.sent == []
        await telling.done(0, run)
        tasks, progress = topics.take()
        assert [(task.document.state, task.document.task_progress) for task in tasks] == [("FINISHED", 1.0)] * 3
        assert [each.done for each in progress] == [True]
        await telling.done(0, run)
        assert topics.sent == []

    asyncio.run(tell())
