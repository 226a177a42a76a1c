"""What one control event is decided with, and what it leads to."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import NamedTuple

from schemas.command import User
from schemas.detector import DetectorLimits
from schemas.document_id import ID_BYTES, document_id
from schemas.scan import Scan
from schemas.state import Ledger, Run, StoredDetector, StoredJob, StoredTask
from schemas.task import Job, Task
from streams.coordinate.state import CoordinatorState, Document

Sources = dict[str, dict[int, int]]
Ranges = dict[str, dict[int, tuple[int, int]]]


@dataclass(frozen=True)
class CoordinatorLimits:
    """How much there may be; each is a setting.

    ``model_partitions`` is over how many partitions models are spread: a historical task has ended when each of
    them has said so. ``max_ahead_ms`` is how far ahead of its time a record's event time may be.
    """

    max_detectors: int = 1000
    max_multi_entity_detectors: int = 1000
    max_historical_tasks: int = 10
    max_old_tasks: int = 1
    model_partitions: int = 8
    max_ahead_ms: int = 600_000
    detector_bytes: int = 500_000
    detector: DetectorLimits = field(default_factory=DetectorLimits)


@dataclass(frozen=True)
class Context:
    """What the world outside says about one event.

    ``sources`` (for ``job.start``): by topic and partition the offset at which reading begins; ``live`` and ``since``
    tell a cold start, as in ``Run``. ``ranges`` (for ``history.start``): by topic and partition the first offset to
    read and the one to stop before. Both are empty when no topic of the detector exists. ``topic_ids`` are the ids of
    the topics whose offsets these are.
    """

    now_ms: int
    control_offset: int
    sources: Sources = field(default_factory=dict)
    live: Sources = field(default_factory=dict)
    since: int | None = None
    ranges: Ranges = field(default_factory=dict)
    topic_ids: dict[str, str] = field(default_factory=dict)


class Answer(NamedTuple):
    """The good outcome of a command; ``record`` names topic and key of the record whose offset is its seq_no."""

    id: str
    version: int = 0
    status: int = 200
    record: tuple[str, str] | None = None


class Write(NamedTuple):
    """One change: a document's new state, a scan, or None for the document's end."""

    topic: str
    key: str
    document: Document | Scan | None


class Step:
    """Reads the state and collects the writes of one event. Nothing is changed before the event is through."""

    def __init__(
        self,
        state: CoordinatorState,
        limits: CoordinatorLimits,
        node_id: str,
        context: Context,
        detector_id: str,
        user: User | None,
    ) -> None:
        self.state = state
        self.limits = limits
        self.node_id = node_id
        self.context = context
        self.user = user
        self.writes: list[Write] = []
        self._detector_id = detector_id
        self._ids = 0

    @property
    def now_ms(self) -> int:
        """The event's time."""
        return self.context.now_ms

    def new_id(self) -> str:
        """A random-looking document id: the same whenever the same event is decided again."""
        self._ids += 1
        seed = f"{self.context.control_offset}/{self._ids}/{self._detector_id}".encode()
        return document_id(hashlib.blake2b(seed, digest_size=ID_BYTES).digest())

    def put_detector(self, detector_id: str, before: StoredDetector | None, document: dict[str, object]) -> int:
        """Write a detector; returns its version."""
        version = 1 if before is None else before.version + 1
        self._put(
            "detectors",
            StoredDetector(
                id=detector_id, version=version, control_offset=self.context.control_offset, document=document
            ),
        )
        return version

    def put_job(self, detector_id: str, before: StoredJob | None, document: Job, run: Run | None) -> int:
        """Write a job; returns its version."""
        version = 1 if before is None else before.version + 1
        self._put(
            "state",
            StoredJob(
                id=detector_id,
                version=version,
                control_offset=self.context.control_offset,
                document=document,
                run=run,
            ),
        )
        return version

    def put_task(self, before: StoredTask, document: Task, ledger: Ledger | None) -> None:
        """Write a task's next state."""
        self._put(
            "state",
            StoredTask(
                id=before.id,
                version=before.version + 1,
                control_offset=self.context.control_offset,
                document=document,
                ledger=ledger,
            ),
        )

    def new_task(self, document: Task, ledger: Ledger | None = None) -> StoredTask:
        """Write a task that wasn't there before."""
        task = StoredTask(
            id=self.new_id(),
            version=1,
            control_offset=self.context.control_offset,
            document=document,
            ledger=ledger,
        )
        self._put("state", task)
        return task

    def delete(self, topic: str, key: str) -> None:
        """Write a document's end."""
        self.writes.append(Write(topic, key, None))

    def scan(self, scan: Scan) -> None:
        """Ask for a bounded read."""
        self.writes.append(Write("scans", scan.key, scan))

    def _put(self, topic: str, document: Document) -> None:
        self.writes.append(Write(topic, document.id, document))
