"""Entity tasks follow their parents: what the scorers leave behind is put right afterwards.

A scorer writes the tasks of its entities while their analysis runs. It can't know that a later analysis makes them
no longer the latest, and one that dies in the moment of a stop leaves them running.
"""

from __future__ import annotations

import msgspec

from schemas.state import StoredTask
from schemas.task import LIVE_STATES


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
