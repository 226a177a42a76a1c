"""Every worker's view of what is running, folded from the topics ``detectors`` and ``state``."""

from __future__ import annotations

import asyncio

import structlog

from schemas.detector import Detector, load_detector
from schemas.state import Run, StoredJob, StoredTask, decode_detector, decode_state
from schemas.task import HISTORICAL_TYPES, LIVE_STATES, Task
from streams.features.plan import Plan
from streams.kafka.follower import KafkaRecord
from streams.running import Running, forest_spec
from streams.settings import Settings

log = structlog.get_logger()


class Detectors:
    """What is running now. ``changed`` is set after every change; whoever waits for it clears it.

    ``running`` holds real-time detection by detector id, ``analyses`` the live historical tasks by task id, ``ended``
    the ones that have ended and are still kept.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stored: dict[str, Detector] = {}
        self._jobs: dict[str, StoredJob] = {}
        self._control_offset = -1
        self.running: dict[str, Running] = {}
        self.analyses: dict[str, Running] = {}
        self.ended: dict[str, Task] = {}
        self.changed = asyncio.Event()

    @property
    def known(self) -> frozenset[str]:
        """Ids of all detectors that exist, running or not."""
        return frozenset(self._stored)

    @property
    def scored(self) -> dict[str, Running]:
        """Everything that has models, by owner."""
        return {**self.running, **self.analyses}

    def topics(self) -> frozenset[str]:
        """The data topics that running detectors read."""
        return frozenset(topic for running in self.running.values() for topic in running.run.sources)

    def has_ended(self, owner: str, run: int) -> bool:
        """Whether a run that is not running has ended, as opposed to not having been heard of yet."""
        running = self.running.get(owner) or self.analyses.get(owner)
        if running is not None:
            return running.run.id > run
        if owner in self.ended:
            return True
        job = self._jobs.get(owner)
        return (job is not None and job.control_offset >= run) or self._control_offset > run

    def apply(self, record: KafkaRecord) -> None:
        """Fold one record of either topic in. Raises whatever one that can't be read leads to."""
        key, value = record.key, record.value
        if record.topic == "detectors":
            if value is None:
                self._stored.pop(key, None)
            else:
                self._stored[key] = load_detector(decode_detector(value).document)
            self._refresh(key)
        elif value is None:
            if self._jobs.pop(key, None) is not None:
                self._refresh(key)
            self._end_analysis(key)
            self.ended.pop(key, None)
        else:
            document = decode_state(value)
            self._control_offset = max(self._control_offset, document.control_offset)
            if isinstance(document, StoredJob):
                self._jobs[key] = document
                self._refresh(key)
            elif isinstance(document, StoredTask) and document.document.task_type in HISTORICAL_TYPES:
                self._follow(document)

    def _follow(self, stored: StoredTask) -> None:
        task, ledger = stored.document, stored.ledger
        if task.state not in LIVE_STATES or ledger is None:
            self._end_analysis(stored.id)
            self.ended[stored.id] = task
            return
        if stored.id in self.analyses:
            return
        detector = load_detector(task.detector or {})
        run = Run(
            id=ledger.run,
            sources={
                topic: {partition: share.begin for partition, share in partitions.items()}
                for topic, partitions in ledger.scans.items()
            },
        )
        plan = Plan.build(
            owner=stored.id,
            run=run.id,
            detector_id=task.detector_id,
            detector=detector,
            partitions=self._settings.model_partitions,
            most_delay_ms=int(self._settings.max_auto_delay * 1000),
        )
        # The seed of the detector itself: an analysis comes to the grades that real time comes to.
        spec = forest_spec(task.detector_id, detector)
        self.analyses[stored.id] = Running(detector, run, plan, spec, task=task)
        self.changed.set()
        log.info("analysis runs", detector=task.detector_id, task=stored.id, sources=run.sources)

    def _end_analysis(self, task_id: str) -> None:
        if self.analyses.pop(task_id, None) is not None:
            self.changed.set()
            log.info("analysis has ended", task=task_id)

    def _refresh(self, detector_id: str) -> None:
        detector, job = self._stored.get(detector_id), self._jobs.get(detector_id)
        before = self.running.get(detector_id)
        if detector is None or job is None or job.run is None:
            if self.running.pop(detector_id, None) is not None:
                self.changed.set()
            return
        if before is not None and before.run == job.run:
            return
        plan = Plan.build(
            owner=detector_id,
            run=job.run.id,
            detector_id=detector_id,
            detector=detector,
            partitions=self._settings.model_partitions,
            most_delay_ms=int(self._settings.max_auto_delay * 1000),
        )
        spec = forest_spec(detector_id, detector)
        self.running[detector_id] = Running(detector, job.run, plan, spec)
        self.changed.set()
        log.info("detector runs", detector=detector_id, run=job.run.id, sources=job.run.sources)
