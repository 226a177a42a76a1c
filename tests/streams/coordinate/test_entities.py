from __future__ import annotations

from typing import Any

from schemas.state import StoredTask
from schemas.task import Task
from streams.coordinate.entities import corrected


def task(**members: Any) -> StoredTask:
    """A stored task that is running and the latest, unless ``members`` say otherwise."""
    document = Task(
        **{
            "task_type": "HISTORICAL_HC_ENTITY", "state": "RUNNING", "detector_id": "d", "is_latest": True,
            "execution_start_time": 1, "last_update_time": 2, **members,
        }
    )  # fmt: skip
    return StoredTask(id="t", version=3, control_offset=9, document=document)


def test_a_child_follows_its_parent() -> None:
    stopped = task(state="STOPPED", error="cancelled", execution_end_time=50)
    after = corrected(task(), stopped, 60)
    assert after is not None
    assert (after.version, after.document) == (
        4,
        task(state="STOPPED", error="cancelled", execution_end_time=50, last_update_time=60).document,
    )
    after = corrected(task(state="FINISHED"), task(state="FINISHED", is_latest=False), 60)
    assert after is not None
    assert after.document == task(state="FINISHED", is_latest=False).document


def test_what_is_right_stays() -> None:
    assert corrected(task(), task(), 60) is None
    assert corrected(task(state="FAILED", error="too little"), task(state="FINISHED", error=""), 60) is None
