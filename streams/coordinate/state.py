"""All that the coordinator knows: a fold of the records of the topics detectors and state."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from schemas import state as stored
from schemas.state import JOURNAL_KEY, Journal, Ledger, StoredDetector, StoredJob, StoredTask
from schemas.task import HISTORICAL_TYPES, LIVE_STATES, REALTIME_TYPES

Document = StoredDetector | StoredJob | StoredTask


class Record(NamedTuple):
    """A record as it lies in a topic (named without prefix); ``value`` None is a tombstone."""

    topic: str
    key: str
    value: bytes | None


class CoordinatorState:
    """Detectors, jobs and tasks by id, with the indexes that decisions need.

    Of entity tasks, which the scorer writes, only the ids are kept, by their parent's id. ``offset`` is the
    control offset of the last event that changed anything. ``reported`` holds, by task, the ledgers that are newer
    than the tasks' records.
    """

    def __init__(self) -> None:
        self.offset = -1
        self.detectors: dict[str, StoredDetector] = {}
        self.jobs: dict[str, StoredJob] = {}
        self.tasks: dict[str, StoredTask] = {}
        self.children: dict[str, set[str]] = {}
        self.reported: dict[str, Ledger] = {}
        self._parents: dict[str, str] = {}
        self._names: dict[str, str] = {}
        self._tasks_of: dict[str, set[str]] = {}
        self._offsets: dict[str, int] = {}

    def restore(self, records: Iterable[Record]) -> None:
        """Fold what a topic holds, in its order. Raises ``msgspec.DecodeError`` for what can't be read."""
        for topic, key, value in records:
            if topic == "detectors":
                self.fold(topic, key, None if value is None else stored.decode_detector(value))
            elif value is None:
                self.fold(topic, key, None)
            elif topic == "state":  # a journal also holds scans
                document = stored.decode_state(value)
                if isinstance(document, Journal):
                    self.offset = max(self.offset, document.control_offset)
                else:
                    self.fold(topic, key, document)

    def fold(self, topic: str, key: str, document: Document | None) -> None:
        """Take in one document's new state, or its end."""
        if document is not None and not _is_child(document):
            self.offset = max(self.offset, document.control_offset)
        if topic == "detectors":
            self._fold_detector(key, document)
        elif isinstance(document, StoredJob):
            self.jobs[key] = document
        elif isinstance(document, StoredTask):
            self._fold_task(key, document)
        elif key != JOURNAL_KEY:
            self.jobs.pop(key, None)
            self._forget_task(key)

    def _fold_detector(self, key: str, document: Document | None) -> None:
        before = self.detectors.pop(key, None)
        self._offsets.pop(key, None)
        if before is not None and self._names.get(before.document["name"]) == key:
            del self._names[before.document["name"]]
        if isinstance(document, StoredDetector):
            self.detectors[key] = document
            self._names[document.document["name"]] = key

    def _fold_task(self, key: str, task: StoredTask) -> None:
        parent = task.document.parent_task_id
        if parent is not None:
            self.children.setdefault(parent, set()).add(key)
            self._parents[key] = parent
            return
        self.tasks[key] = task
        self.reported.pop(key, None)
        self._tasks_of.setdefault(task.document.detector_id, set()).add(key)

    def _forget_task(self, key: str) -> None:
        self.forget_child(key)
        self.reported.pop(key, None)
        task = self.tasks.pop(key, None)
        if task is not None:
            of_detector = self._tasks_of[task.document.detector_id]
            of_detector.discard(key)
            if not of_detector:
                del self._tasks_of[task.document.detector_id]

    def is_child(self, key: str) -> bool:
        """Whether this is the id of an entity task."""
        return key in self._parents

    def forget_child(self, key: str) -> None:
        """Take in the end of an entity task."""
        parent = self._parents.pop(key, None)
        if parent is not None:
            self.children[parent].discard(key)
            if not self.children[parent]:
                del self.children[parent]

    def seen(self, topic: str, key: str, offset: int) -> None:
        """Note the offset of a detector's newest record."""
        if topic == "detectors" and key in self.detectors:
            self._offsets[key] = offset

    def detector_offset(self, detector_id: str) -> int | None:
        """The offset that ``seen`` noted last: the detector's seq_no."""
        return self._offsets.get(detector_id)

    def named(self, name: str) -> str | None:
        """The id of the detector of that name."""
        return self._names.get(name)

    def tasks_of(self, detector_id: str, types: frozenset[str]) -> list[StoredTask]:
        """The detector's tasks of these types, the newest first."""
        found = (self.tasks[key] for key in self._tasks_of.get(detector_id, ()))
        return sorted(
            (task for task in found if task.document.task_type in types),
            key=lambda task: (task.document.is_latest is True, task.document.execution_start_time, task.id),
            reverse=True,
        )

    def realtime_task(self, detector_id: str) -> StoredTask | None:
        """The newest real-time task."""
        return next(iter(self.tasks_of(detector_id, REALTIME_TYPES)), None)

    def historical_task(self, detector_id: str) -> StoredTask | None:
        """The newest historical task."""
        return next(iter(self.tasks_of(detector_id, HISTORICAL_TYPES)), None)

    def ledger_of(self, task: StoredTask) -> Ledger:
        """What the workers have reported on the task until now."""
        return self.reported.get(task.id) or task.ledger or Ledger()

    def live_historical_tasks(self) -> int:
        """How many historical analyses run, over all detectors."""
        return sum(
            task.document.state in LIVE_STATES and task.document.task_type in HISTORICAL_TYPES
            for task in self.tasks.values()
        )


def _is_child(document: Document) -> bool:
    return isinstance(document, StoredTask) and document.document.parent_task_id is not None
