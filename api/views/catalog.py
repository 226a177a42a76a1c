"""What the topics ``detectors`` and ``state`` say now: detectors, jobs and tasks, by id.

A fold: apply every record in the order of its offset and the catalog is what the coordinator wrote. Only the
event loop touches it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from schemas.state import JOURNAL_KEY, Run, StoredJob, StoredTask, decode_detector, decode_state
from schemas.task import HISTORICAL_TYPES, REALTIME_TYPES

HIDDEN = "preview-"
"""Ids of detectors that begin so belong to previews: no view shows them."""


@dataclass(frozen=True, slots=True)
class Document:
    """A document as the API shows it. ``seq_no`` is the offset of its record."""

    id: str
    version: int
    seq_no: int
    source: dict[str, Any]
    run: Run | None = None


class Catalog:
    """Detectors, jobs and tasks.

    >>> catalog = Catalog()
    >>> catalog.apply_detector("d1", b'{"id":"d1","version":2,"control_offset":7,"document":{"name":"cpu"}}', 5)
    >>> catalog.detectors["d1"].seq_no, catalog.id_of_name("cpu")
    (5, 'd1')
    """

    def __init__(self) -> None:
        self.detectors: dict[str, Document] = {}
        self.jobs: dict[str, Document] = {}
        self.tasks: dict[str, Document] = {}
        self.hidden_tasks: dict[str, Document] = {}
        self._names: dict[str, str] = {}
        self._tasks_of: dict[str, set[str]] = {}

    def apply_detector(self, key: str, value: bytes | None, offset: int) -> None:
        """Apply a record of ``detectors``. Raises ``msgspec.DecodeError`` for bytes that are none."""
        if key.startswith(HIDDEN):
            return
        stored = None if value is None else decode_detector(value)
        before = self.detectors.pop(key, None)
        if before is not None and self._names.get(before.source.get("name", "")) == key:
            del self._names[before.source["name"]]
        if stored is not None:
            self.detectors[key] = Document(key, stored.version, offset, stored.document)
            self._names[stored.document.get("name", "")] = key

    def apply_state(self, key: str, value: bytes | None, offset: int) -> None:
        """Apply a record of ``state``. Raises ``msgspec.DecodeError`` for bytes that are none."""
        if key == JOURNAL_KEY:
            return
        stored = None if value is None else decode_state(value)
        self.hidden_tasks.pop(key, None)
        before = self.tasks.pop(key, None)
        if before is not None:
            self._tasks_of[before.source["detector_id"]].discard(key)
        if isinstance(stored, StoredTask):
            source = msgspec.to_builtins(stored.document)
            task = Document(key, stored.version, offset, source)
            if stored.document.detector_id.startswith(HIDDEN):
                self.hidden_tasks[key] = task
                return
            self.tasks[key] = task
            self._tasks_of.setdefault(stored.document.detector_id, set()).add(key)
        elif isinstance(stored, StoredJob):
            source = msgspec.to_builtins(stored.document)
            self.jobs[key] = Document(key, stored.version, offset, source, stored.run)
        else:
            self.jobs.pop(key, None)

    def id_of_name(self, name: str) -> str | None:
        """The id of the detector that has exactly this name."""
        return self._names.get(name)

    def latest_task(self, detector_id: str, types: frozenset[str]) -> Document | None:
        """The task of these types that is the latest of its kind."""
        found = [
            task
            for task in (self.tasks[id] for id in self._tasks_of.get(detector_id, ()))
            if task.source["task_type"] in types and task.source.get("is_latest")
        ]
        return max(found, key=lambda task: (task.source["execution_start_time"], task.seq_no), default=None)

    def realtime_task(self, detector_id: str) -> Document | None:
        """The latest task of real-time detection."""
        return self.latest_task(detector_id, REALTIME_TYPES)

    def historical_task(self, detector_id: str) -> Document | None:
        """The latest task of historical analysis, the parent where there are entity tasks."""
        return self.latest_task(detector_id, HISTORICAL_TYPES)

    def entity_tasks(self, parent_id: str, detector_id: str) -> list[Document]:
        """The entity tasks of a historical analysis."""
        tasks = (self.tasks[id] for id in self._tasks_of.get(detector_id, ()))
        return [task for task in tasks if task.source.get("parent_task_id") == parent_id]

    def counts(self) -> tuple[int, int]:
        """How many detectors there are without and with category fields."""
        many = sum(1 for detector in self.detectors.values() if detector.source.get("category_field"))
        return len(self.detectors) - many, many


def task_document(task: Document) -> dict[str, Any]:
    """A task as GET and the profile show it: with its id, which is not stored in it."""
    return {"task_id": task.id, **task.source}
