"""Detectors, jobs and tasks by id: a fold over the topics ``detectors`` and ``state``.

Apply every record in the order of its offset, and the catalog is what the coordinator wrote. Not thread-safe: for the
event loop only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from api.search.memory.table import Candidates, DocumentTable
from schemas.detector import shown_document
from schemas.state import HIDDEN, POSITION_KEY, StoredJob, StoredTask, decode_detector, decode_state
from schemas.task import HISTORICAL_TYPES, REALTIME_TYPES, Task


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """A document as the API shows it. ``seq_no`` is the offset of its record.

    ``automatic_delay``: the detector has no ``window_delay``, which is measured; the one in ``source`` is a default.
    """

    id: str
    version: int
    seq_no: int
    source: dict[str, Any]
    automatic_delay: bool = False

    @property
    def definition(self) -> dict[str, Any]:
        """A detector's document without the members that are only shown."""
        if not self.automatic_delay:
            return self.source
        return {name: value for name, value in self.source.items() if name != "window_delay"}


class Catalog:
    """Detectors, jobs and tasks. ``analyses_deleted`` counts the deleted tasks of historical analyses.

    >>> catalog = Catalog()
    >>> catalog.apply_detector("d1", b'{"id":"d1","version":2,"control_offset":7,"document":{"name":"cpu"}}', 5)
    >>> catalog.detectors.get("d1").seq_no, catalog.id_of_name("cpu")
    (5, 'd1')
    """

    def __init__(self) -> None:
        self.detectors = DocumentTable[StoredDocument](("name",))
        self.jobs: dict[str, StoredDocument] = {}
        self.tasks = DocumentTable[StoredDocument](("detector_id", "parent_task_id", "state", "task_type"))
        self.hidden_tasks: dict[str, StoredDocument] = {}
        self.analyses_deleted = 0
        self._names: dict[str, str] = {}
        self._many: set[str] = set()
        self._parents: dict[str, set[str]] = {}

    def apply_detector(self, key: str, value: bytes | None, offset: int) -> None:
        """Apply a record of ``detectors``. Raises ``msgspec.DecodeError`` for an unreadable record."""
        if key.startswith(HIDDEN):
            return
        stored = None if value is None else decode_detector(value)
        before = self.detectors.delete(key)
        self._many.discard(key)
        if before is not None and self._names.get(before.source.get("name", "")) == key:
            del self._names[before.source["name"]]
        if stored is not None:
            automatic = "window_delay" not in stored.document
            shown = shown_document(stored.document)
            self.detectors.put(StoredDocument(key, stored.version, offset, shown, automatic))
            self._names[stored.document.get("name", "")] = key
            if stored.document.get("category_field"):
                self._many.add(key)

    def apply_state(self, key: str, value: bytes | None, offset: int) -> None:
        """Apply a record of ``state``. Raises ``msgspec.DecodeError`` for an unreadable record."""
        if key == POSITION_KEY:
            return
        stored = None if value is None else decode_state(value)
        self.hidden_tasks.pop(key, None)
        if isinstance(stored, StoredTask):
            task = StoredDocument(key, stored.version, offset, _shown_task(stored.document))
            if stored.document.detector_id.startswith(HIDDEN):
                self.hidden_tasks[key] = task
                return
            self.tasks.put(task)
            if stored.document.parent_task_id is None:
                self._parents.setdefault(stored.document.detector_id, set()).add(key)
        elif isinstance(stored, StoredJob):
            self.jobs[key] = StoredDocument(key, stored.version, offset, msgspec.to_builtins(stored.document))
        else:
            self.jobs.pop(key, None)
            before = self.tasks.delete(key)
            if before is not None:
                self._drop_parent(before)
                self.analyses_deleted += before.source["task_type"] in HISTORICAL_TYPES

    def _drop_parent(self, task: StoredDocument) -> None:
        detector_id = task.source["detector_id"]
        parents = self._parents.get(detector_id, set())
        parents.discard(task.id)
        if not parents:
            self._parents.pop(detector_id, None)

    def id_of_name(self, name: str) -> str | None:
        """The id of the detector that has exactly this name."""
        return self._names.get(name)

    def _latest(self, detector_id: str, types: frozenset[str]) -> StoredDocument | None:
        tasks = (self.tasks.get(id) for id in self._parents.get(detector_id, ()))
        found = [
            task
            for task in tasks
            if task is not None and task.source["task_type"] in types and task.source.get("is_latest")
        ]
        return max(found, key=lambda task: (task.source["execution_start_time"], task.seq_no), default=None)

    def realtime_task(self, detector_id: str) -> StoredDocument | None:
        """The latest task of real-time detection."""
        return self._latest(detector_id, REALTIME_TYPES)

    def historical_task(self, detector_id: str) -> StoredDocument | None:
        """The latest task of historical analysis, the parent where there are entity tasks."""
        return self._latest(detector_id, HISTORICAL_TYPES)

    def entity_tasks(self, parent_id: str) -> Candidates[StoredDocument]:
        """The entity tasks of a historical analysis."""
        return self.tasks.having("parent_task_id", parent_id)

    def counts(self) -> tuple[int, int]:
        """How many detectors there are without and with category fields."""
        return len(self.detectors) - len(self._many), len(self._many)


def _shown_task(task: Task) -> dict[str, Any]:
    source: dict[str, Any] = msgspec.to_builtins(task)
    if "detector" in source:
        source["detector"] = shown_document(source["detector"])
    return source


def task_document(task: StoredDocument) -> dict[str, Any]:
    """A task as ``GET`` and the profile show it: with its id."""
    return {"task_id": task.id, **task.source}
