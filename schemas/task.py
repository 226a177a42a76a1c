"""Job and task documents, as the API shows them."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from schemas.command import User

TaskType = Literal[
    "REALTIME_SINGLE_ENTITY",
    "REALTIME_HC_DETECTOR",
    "HISTORICAL_SINGLE_ENTITY",
    "HISTORICAL_HC_DETECTOR",
    "HISTORICAL_HC_ENTITY",
]
TaskState = Literal["CREATED", "INIT", "RUNNING", "FINISHED", "STOPPED", "FAILED"]

LIVE_STATES: frozenset[str] = frozenset({"CREATED", "INIT", "RUNNING"})
REALTIME_TYPES: frozenset[str] = frozenset({"REALTIME_SINGLE_ENTITY", "REALTIME_HC_DETECTOR"})
HISTORICAL_TYPES: frozenset[str] = frozenset({"HISTORICAL_SINGLE_ENTITY", "HISTORICAL_HC_DETECTOR"})

ROWS_TO_INIT = 32
"""A model gives grades from this row on, as in OpenSearch."""

TOO_LITTLE = "There is not enough data to train model"
"""The error of a task whose models never came to ``ROWS_TO_INIT`` rows, in OpenSearch's words."""


class EntityValue(msgspec.Struct, frozen=True):
    """One category field of an entity."""

    name: str
    value: str


class DateRange(msgspec.Struct, frozen=True):
    """``[start_time, end_time)`` in epoch ms."""

    start_time: int
    end_time: int


class Task(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A task document. Its id is not part of it: it is the document's ``_id``."""

    task_type: TaskType
    state: TaskState
    detector_id: str
    is_latest: bool | msgspec.UnsetType = msgspec.UNSET
    task_progress: float | msgspec.UnsetType = msgspec.UNSET
    init_progress: float | msgspec.UnsetType = msgspec.UNSET
    current_piece: int | None = None
    execution_start_time: int
    execution_end_time: int | None = None
    last_update_time: int
    started_by: str | None = None
    stopped_by: str | None = None
    error: str | None = None
    coordinating_node: str | None = None
    worker_node: str | None = None
    estimated_minutes_left: int | None = None
    entity: list[EntityValue] | None = None
    parent_task_id: str | None = None
    detection_date_range: DateRange | None = None
    detector: dict[str, Any] | None = None
    user: User | None = None


class Job(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The real-time job document of a detector, under the detector's id."""

    name: str
    schedule: dict[str, Any]
    window_delay: dict[str, Any]
    enabled: bool | msgspec.UnsetType = msgspec.UNSET
    enabled_time: int
    last_update_time: int
    lock_duration_seconds: int
    type: str | msgspec.UnsetType = msgspec.UNSET
    disabled_time: int | None = None
    user: User | None = None
    result_index: str | None = None
