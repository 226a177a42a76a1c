"""Entity tasks follow their parents: what the scorers leave behind is put right afterwards.

A scorer writes the tasks of its entities while their analysis runs. It can't know that a later analysis makes them
no longer the latest, and one that dies in the moment of a stop leaves them running.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from schemas.state import StoredTask, decode_state
from schemas.task import LIVE_STATES
from streams.coordinate.journal import Held
from streams.coordinate.state import CoordinatorState
from streams.kafka.unreadable import Unreadable

PATIENCE = 5.0
"""Seconds after which entity tasks that do not follow their parent are put right: scorers end theirs by themselves."""


class Followers:
    """Which tasks have entity tasks that may have to be put right, and from when on."""

    def __init__(self) -> None:
        self._due: dict[str, float] = {}

    def all_of(self, state: CoordinatorState, now: float) -> None:
        """Nobody knows what the coordinator before saw to."""
        self._due = dict.fromkeys(state.children, now)

    def changed(self, task_id: str, now: float) -> None:
        """A task has changed that has entity tasks."""
        self._due[task_id] = now + PATIENCE

    def take_due(self, state: CoordinatorState, now: float) -> dict[str, StoredTask]:
        """The tasks that have ended and whose entity tasks are due."""
        due = [task for task, at in self._due.items() if at <= now]
        for task in due:
            del self._due[task]
        parents = {task: state.tasks[task] for task in due if task in state.tasks}
        return {task: parent for task, parent in parents.items() if parent.document.state not in LIVE_STATES}


def corrections(
    held: Iterable[Held], parents: Mapping[str, StoredTask], now_ms: int, unreadable: Unreadable
) -> list[StoredTask]:
    """What must be written so that the entity tasks of these parents follow them, given all records."""
    found: dict[str, StoredTask] = {}
    for record in held:
        with unreadable.skipping(record.topic, record.offset):
            key = (record.key or b"").decode()
            found.pop(key, None)
            document = None if record.topic != "state" or record.value is None else decode_state(record.value)
            if isinstance(document, StoredTask) and document.document.parent_task_id in parents:
                found[key] = document
    after = (corrected(child, parents[child.document.parent_task_id or ""], now_ms) for child in found.values())
    return [child for child in after if child is not None]


def corrected(child: StoredTask, parent: StoredTask, now_ms: int) -> StoredTask | None:
    """The entity task as its parent wants it; None when it is so already."""
    before, above = child.document, parent.document
    task = msgspec.structs.replace(before, is_latest=above.is_latest)
    if before.state in LIVE_STATES and above.state not in LIVE_STATES:
        task = msgspec.structs.replace(
            task,
            state=above.state,
            error=above.error or None,
            execution_end_time=above.execution_end_time,
            last_update_time=now_ms,
        )
    if task == before:
        return None
    return msgspec.structs.replace(child, version=child.version + 1, document=task)
