"""What the scorer says about historical analyses: progress to the coordinator, and the tasks of their entities.

A hundred thousand entities must not flood the topic ``state``: at most ``WRITES`` of their tasks are written at one
time, first those of entities that have appeared, then those of models that are initialised, then progress. What
changes while a task waits for its turn is written as one change. Only the end is written of every one of them.
"""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass, field

import msgspec

from schemas.command import TaskProgress, encode_event
from schemas.document_id import ID_BYTES, document_id
from schemas.partial import NO_WINDOW
from schemas.state import StoredTask, encode
from schemas.task import LIVE_STATES, ROWS_TO_INIT, TOO_LITTLE, Task, TaskState
from streams.detectors import Detectors
from streams.kafka.clock import KafkaClock
from streams.kafka.outbox import Outbox
from streams.score.documents import entity_document
from streams.score.partition import RunScore
from streams.settings import Settings

WRITES = 500
"""Entity tasks of one analysis and model partition that are written at one time."""

SNAPSHOTS = 1_000
"""So many entity tasks of a model partition carry the detector: a hundred thousand copies would fill every view."""


@dataclass
class _Told:
    """What has been said about one analysis on one model partition. Entities are known by their row."""

    began: int
    done: bool = False
    progress: TaskProgress | None = None
    versions: list[int] = field(default_factory=list)
    states: list[TaskState] = field(default_factory=list)
    reached: list[tuple[int, int]] = field(default_factory=list)
    next: int = 0


class Reports:
    """Writes ``TaskProgress`` events and entity tasks, each only when something has changed."""

    def __init__(self, settings: Settings, detectors: Detectors, outbox: Outbox, clock: KafkaClock) -> None:
        self._settings = settings
        self._detectors = detectors
        self._outbox = outbox
        self._clock = clock
        self._told: dict[tuple[str, int], _Told] = {}

    def _of(self, partition: int, run: RunScore) -> _Told:
        key = (run.running.plan.owner, partition)
        if key not in self._told:
            self._told[key] = _Told(self._clock.now())
        return self._told[key]

    async def tell(self, partition: int, run: RunScore) -> None:
        """Say how far it is."""
        told = self._of(partition, run)
        if told.done:
            return
        await self._tell(told, partition, run, done=False)
        if run.running.plan.categories:
            await self._write_entities(told, run)

    async def done(self, partition: int, run: RunScore) -> None:
        """Say, once, that everything has been scored. All results have arrived before."""
        told = self._of(partition, run)
        if told.done:
            return
        told.done = True
        if run.running.plan.categories:
            await self._end_entities(told, run, "FINISHED", None)
        await self._outbox.barrier()
        await self._tell(told, partition, run, done=True)

    async def ended(self, partition: int, run: RunScore) -> None:
        """The task is over: so are the tasks of its entities that have not ended by themselves."""
        told = self._told.pop((run.running.plan.owner, partition), None)
        task = self._detectors.ended.get(run.running.plan.owner)
        if told is None or task is None or told.done or not run.running.plan.categories:
            return
        await self._end_entities(told, run, task.state, task.error)

    async def _tell(self, told: _Told, partition: int, run: RunScore, *, done: bool) -> None:
        plan, models = run.running.plan, run.models
        if models is None or (run.first_offset is None and not done):
            return
        until = run.merge.scored_until
        progress = TaskProgress(
            detector_id=plan.detector_id,
            task_id=plan.owner,
            partition=partition,
            rows=models.most_rows_seen(),
            entities=len(models),
            windows=run.windows,
            anomalies=run.anomalies,
            scored_until=None if until == NO_WINDOW else until,
            done=done,
            node_id=self._settings.node_id,
            left_out=0 if run.limit is None else run.limit.left_out,
        )
        if progress == told.progress:
            return
        told.progress = progress
        await self._outbox.send(self._settings.topic("control"), encode_event(progress), key=plan.detector_id)

    # -- entities ---------------------------------------------------------------------------------------------

    async def _write_entities(self, told: _Told, run: RunScore) -> None:
        if run.models is None:
            return
        seen = run.models.rows_seen().tolist()
        due = list(range(len(told.states), len(seen)))
        due += [row for row, state in enumerate(told.states) if state == "INIT" and seen[row] >= ROWS_TO_INIT]
        due = due[:WRITES]
        if told.states and len(due) < WRITES:
            rows = range(told.next, told.next + min(WRITES - len(due), len(told.states)))
            told.next = (rows.stop) % len(told.states)
            until = run.merge.scored_until
            others = {row % len(told.states) for row in rows} - set(due)
            due += sorted(row for row in others if told.reached[row] != (seen[row], until))
        now = self._clock.now()
        for row in due:
            state: TaskState = "RUNNING" if seen[row] >= ROWS_TO_INIT else "INIT"
            await self._write(told, run, row, self._document(told, run, row, seen[row], state, None, now))
            told.reached[row] = (seen[row], run.merge.scored_until)

    async def _end_entities(self, told: _Told, run: RunScore, state: TaskState, error: str | None) -> None:
        if run.models is None:
            return
        now = self._clock.now()
        for row, seen in enumerate(run.models.rows_seen().tolist()):
            if row < len(told.states) and told.states[row] not in LIVE_STATES:
                continue
            if row % WRITES == 0:
                await asyncio.sleep(0)  # live work has its turn
            ends, why = state, error or None
            if state == "FINISHED" and seen < ROWS_TO_INIT:
                ends, why = "FAILED", TOO_LITTLE
            await self._write(told, run, row, self._document(told, run, row, seen, ends, why, now))

    def _document(
        self, told: _Told, run: RunScore, row: int, seen: int, state: TaskState, error: str | None, now: int
    ) -> Task:
        parent, plan, models = run.running.task, run.running.plan, run.models
        assert parent is not None
        assert models is not None
        finished = state == "FINISHED"
        until = run.merge.scored_until
        return Task(
            task_type="HISTORICAL_HC_ENTITY",
            state=state,
            detector_id=plan.detector_id,
            is_latest=True,
            task_progress=1.0 if finished else _share(run),
            init_progress=min(seen, ROWS_TO_INIT) / ROWS_TO_INIT,
            current_piece=None if until == NO_WINDOW else until,
            execution_start_time=told.began,
            execution_end_time=None if state in LIVE_STATES else now,
            last_update_time=now,
            started_by=parent.started_by,
            error=error,
            coordinating_node=parent.coordinating_node,
            worker_node=self._settings.node_id,
            entity=entity_document(plan, models.entities[row]),
            parent_task_id=plan.owner,
            detection_date_range=parent.detection_date_range,
            detector=parent.detector if row < SNAPSHOTS else None,
            user=parent.user,
        )

    async def _write(self, told: _Told, run: RunScore, row: int, task: Task) -> None:
        assert run.models is not None
        while len(told.states) <= row:
            told.states.append("CREATED")
            told.versions.append(0)
            told.reached.append((0, NO_WINDOW))
        told.states[row] = task.state
        told.versions[row] += 1
        stored = StoredTask(
            id=entity_task_id(run.running.plan.owner, run.models.entities[row]),
            version=told.versions[row],
            control_offset=run.running.run.id,
            document=task,
        )
        await self._outbox.send(self._settings.topic("state"), encode(stored), key=stored.id)


def entity_task_id(task_id: str, entity: str) -> str:
    """The id of an entity's task, the same whenever the same analysis is scored again.

    >>> entity_task_id("t", "host-1")
    'V7akUVwyNiXs6YH_CbEx'
    """
    seed = msgspec.msgpack.encode([task_id, entity])
    return document_id(hashlib.blake2b(seed, digest_size=ID_BYTES).digest())


def _share(run: RunScore) -> float:
    """How much of the range has been scored. The end of the data, where it comes earlier, is known at the end only."""
    parent, interval = run.running.task, run.running.plan.interval_ms
    assert parent is not None
    bounds = parent.detection_date_range
    if bounds is None or run.merge.scored_until == NO_WINDOW:
        return 0.0
    start, end = bounds.start_time // interval * interval, bounds.end_time // interval * interval
    if end <= start:
        return 0.0
    return max(0.0, min((run.merge.scored_until - start) / (end - start), 0.999))
