"""The life of a task: which state may follow which, and by what."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from schemas.state import Ledger, StoredDetector, StoredTask
from schemas.task import DateRange, Task, TaskState, TaskType
from streams.coordinate.step import Step

Trigger = Literal["progress", "stop", "fail", "finish"]

TRANSITIONS: frozenset[tuple[TaskState, TaskState, Trigger]] = frozenset(
    {
        ("CREATED", "CREATED", "progress"),
        ("CREATED", "INIT", "progress"),
        ("CREATED", "RUNNING", "progress"),
        ("INIT", "INIT", "progress"),
        ("INIT", "RUNNING", "progress"),
        ("RUNNING", "RUNNING", "progress"),
        ("CREATED", "STOPPED", "stop"),
        ("INIT", "STOPPED", "stop"),
        ("RUNNING", "STOPPED", "stop"),
        ("CREATED", "FAILED", "fail"),
        ("INIT", "FAILED", "fail"),
        ("RUNNING", "FAILED", "fail"),
        ("CREATED", "FINISHED", "finish"),
        ("INIT", "FINISHED", "finish"),
        ("RUNNING", "FINISHED", "finish"),
    }
)
"""Every legal transition: from, to, trigger. A task begins as CREATED; whatever isn't here changes nothing."""


def advance(step: Step, stored: StoredTask, state: TaskState, trigger: Trigger, **changes: Any) -> None:
    """Write the task in its next state, with further changes of the document or of the ledger.

    An illegal transition and one that changes nothing write nothing.
    """
    task = stored.document
    if (task.state, state, trigger) not in TRANSITIONS:
        return
    ledger = changes.pop("ledger", stored.ledger)
    document = msgspec.structs.replace(task, state=state, **changes)
    if document == task and ledger == stored.ledger:
        return
    ended = trigger != "progress"
    document = msgspec.structs.replace(
        document,
        last_update_time=step.now_ms,
        execution_end_time=step.now_ms if ended else None,
    )
    step.put_task(stored, document, None if ended else ledger)


def create(
    step: Step,
    detector: StoredDetector,
    task_type: TaskType,
    previous: list[StoredTask],
    date_range: DateRange | None = None,
    error: str | None = None,
    ledger: Ledger | None = None,
) -> StoredTask:
    """Write a new task in the state CREATED; of the ``previous`` ones of its kind, which end to be the latest,
    only as many are kept as the limits say."""
    for number, old in enumerate(previous):
        if number >= step.limits.max_old_tasks:
            step.delete("state", old.id)
        elif old.document.is_latest is True:
            step.put_task(old, msgspec.structs.replace(old.document, is_latest=False), old.ledger)
    user = step.user
    return step.new_task(
        Task(
            task_type=task_type,
            state="CREATED",
            detector_id=detector.id,
            is_latest=True,
            task_progress=0.0,
            init_progress=0.0,
            execution_start_time=step.now_ms,
            last_update_time=step.now_ms,
            started_by=None if user is None else user.name,
            error=error,
            coordinating_node=step.node_id,
            detection_date_range=date_range,
            detector=detector.document,
            user=user,
        ),
        ledger,
    )
