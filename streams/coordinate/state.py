"""All that the coordinator knows: a fold of the records of the topics detectors and state."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from schemas import state as stored
from schemas.detector import Detector, load_detector
from schemas.state import POSITION_KEY, Ledger, Position, StoredDetector, StoredJob, StoredTask
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
    control offset of the last event that was decided. ``reported`` holds, by task, the ledgers that are newer than the
    tasks' records.
    """

    def __init__(self) -> None:
        self.offset = -1
        self.detectors: dict[str, StoredDetector] = {}
        self.jobs: dict[str, StoredJob] = {}
        self.tasks: dict[str, StoredTask] = {}
        self.children: dict[str, dict[str, None]] = {}
        self.reported: dict[str, Ledger] = {}
        self._parsed: dict[str, Detector] = {}
        self._parents: dict[str, str] = {}
        self._orphaned: set[str] = set()
        self._names: dict[str, str] = {}
        self._tasks_of: dict[str, set[str]] = {}
        self._analyses: set[str] = set()
        self._offsets: dict[str, int] = {}

    def restore(self, record: Record, offset: int) -> None:
        """Fold a record that one of the two topics holds. Raises whatever its value or what is in it leads to, and has
        then changed nothing."""
        topic, key, value = record
        if topic == "detectors":
            self.fold(topic, key, None if value is None else stored.decode_detector(value))
            self.seen(topic, key, offset)
        elif value is None:
            self.fold(topic, key, None)
        else:
            document = stored.decode_state(value)
            if isinstance(document, Position):
                self.offset = document.control_offset
            elif document.id != key:
                raise ValueError(f"it holds [{document.id}] under the key [{key}]")
            else:
                self.fold(topic, key, document)

    def restored(self, control_end: int | None = None) -> None:
        """Call it when everything has been restored, with the end offset of the control topic.

        An entity task may stand before its parent in the topic. A position behind the end is not the coordinator's, or
        the control topic was made anew: with it nothing would be carried out any more.
        """
        self._orphaned = self.children.keys() - self.tasks.keys()
        if control_end is not None:
            self.offset = min(self.offset, control_end - 1)

    def fold(self, topic: str, key: str, document: Document | None) -> None:
        """Take in one document's new state, or its end."""
        if topic == "detectors":
            self._fold_detector(key, document)
        elif isinstance(document, StoredJob):
            self.jobs[key] = document
        elif isinstance(document, StoredTask):
            self._fold_task(key, document)
        elif key != POSITION_KEY:
            self.jobs.pop(key, None)
            self._forget_task(key)

    def _fold_detector(self, key: str, document: Document | None) -> None:
        parsed = load_detector(document.document) if isinstance(document, StoredDetector) else None
        before = self._parsed.pop(key, None)
        self.detectors.pop(key, None)
        self._offsets.pop(key, None)
        if before is not None and self._names.get(before.name) == key:
            del self._names[before.name]
        if parsed is not None and isinstance(document, StoredDetector):
            self.detectors[key] = document
            self._parsed[key] = parsed
            self._names[parsed.name] = key

    def _fold_task(self, key: str, task: StoredTask) -> None:
        parent = task.document.parent_task_id
        if parent is not None:
            if self._parents.get(key, parent) != parent:
                self.forget_child(key)
            self.children.setdefault(parent, {})[key] = None
            self._parents[key] = parent
            if parent not in self.tasks:
                self._orphaned.add(parent)
            return
        self._forget_parent(key)
        self.tasks[key] = task
        self._orphaned.discard(key)
        self._tasks_of.setdefault(task.document.detector_id, set()).add(key)
        if task.document.task_type in HISTORICAL_TYPES and task.document.state in LIVE_STATES:
            self._analyses.add(key)

    def _forget_task(self, key: str) -> None:
        self.forget_child(key)
        self._forget_parent(key)
        if key in self.children:
            self._orphaned.add(key)

    def _forget_parent(self, key: str) -> None:
        self.reported.pop(key, None)
        self._analyses.discard(key)
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
            self.children[parent].pop(key, None)
            if not self.children[parent]:
                del self.children[parent]
                self._orphaned.discard(parent)

    def orphans(self, most: int) -> list[str]:
        """Ids of entity tasks whose parents are gone, at most so many."""
        found: Iterator[str] = (child for parent in sorted(self._orphaned) for child in self.children[parent])
        return list(islice(found, most))

    def seen(self, topic: str, key: str, offset: int) -> None:
        """Note the offset of a detector's newest record."""
        if topic == "detectors" and key in self.detectors:
            self._offsets[key] = offset

    def detector_offset(self, detector_id: str) -> int | None:
        """The offset that ``seen`` noted last: the detector's seq_no."""
        return self._offsets.get(detector_id)

    def detector(self, detector_id: str) -> Detector | None:
        """The detector, read once."""
        return self._parsed.get(detector_id)

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
        return len(self._analyses)
