"""Every worker's view of what is running, folded from the topics ``detectors`` and ``state``."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from zlib import crc32

import structlog
from confluent_kafka import Message

from schemas.detector import Detector, load_detector
from schemas.state import Journal, Run, StoredDetector, StoredJob, decode_detector, decode_state
from streams.forest import ForestSpec, Imputation, read_rules
from streams.plan import Plan
from streams.settings import Settings

log = structlog.get_logger()


@dataclass(frozen=True)
class Running:
    """One running detector: its configuration, compiled.

    ``restarted`` says that the detector ran before, so that there may be models of it in the checkpoints.
    """

    detector: Detector
    run: Run
    plan: Plan
    spec: ForestSpec
    restarted: bool

    @property
    def sources(self) -> frozenset[tuple[str, int]]:
        """All (topic, partition) of the run."""
        return frozenset((topic, partition) for topic, parts in self.run.sources.items() for partition in parts)

    def start_of(self, topic: str, partition: int) -> int | None:
        """Offset of the first record of the partition that belongs to the run; None if it is not a source."""
        return self.run.sources.get(topic, {}).get(partition)


class Detectors:
    """What is running now. ``changed`` is set after every change; whoever waits for it clears it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stored: dict[str, StoredDetector] = {}
        self._jobs: dict[str, StoredJob] = {}
        self._control_offset = -1
        self.running: dict[str, Running] = {}
        self.changed = asyncio.Event()

    @property
    def known(self) -> frozenset[str]:
        """Ids of all detectors that exist, running or not."""
        return frozenset(self._stored)

    def topics(self) -> frozenset[str]:
        """The data topics that running detectors read."""
        return frozenset(topic for running in self.running.values() for topic in running.run.sources)

    def has_ended(self, owner: str, run: int) -> bool:
        """Whether a run that is not running has ended, as opposed to not having been heard of yet."""
        running = self.running.get(owner)
        if running is not None:
            return running.run.id > run
        job = self._jobs.get(owner)
        return (job is not None and job.control_offset >= run) or self._control_offset > run

    def apply(self, message: Message) -> None:
        """Fold one record of either topic in."""
        key = (message.key() or b"").decode()
        value = message.value()
        if message.topic() == self._settings.topic("detectors"):
            if value is None:
                self._stored.pop(key, None)
            else:
                self._stored[key] = decode_detector(value)
            self._refresh(key)
        elif value is None:
            if self._jobs.pop(key, None) is not None:
                self._refresh(key)
        else:
            document = decode_state(value)
            if not isinstance(document, Journal):
                self._control_offset = max(self._control_offset, document.control_offset)
            if isinstance(document, StoredJob):
                self._jobs[document.id] = document
                self._refresh(document.id)

    def _refresh(self, detector_id: str) -> None:
        stored, job = self._stored.get(detector_id), self._jobs.get(detector_id)
        before = self.running.get(detector_id)
        if stored is None or job is None or job.run is None:
            if self.running.pop(detector_id, None) is not None:
                self.changed.set()
            return
        if before is not None and before.run == job.run:
            return
        detector = load_detector(stored.document)
        plan = Plan.build(
            owner=detector_id,
            run=job.run.id,
            detector_id=detector_id,
            detector=detector,
            partitions=self._settings.model_partitions,
        )
        spec = forest_spec(detector_id, detector)
        self.running[detector_id] = Running(detector, job.run, plan, spec, restarted=job.version > 1)
        self.changed.set()
        log.info("detector runs", detector=detector_id, run=job.run.id, sources=job.run.sources)


def forest_spec(detector_id: str, detector: Detector) -> ForestSpec:
    """The forest of a detector. Its seed is the detector's own, so that a replay anywhere draws the same trees.

    Raises ``Refused`` for a ``model`` member that can't be used.
    """
    features = detector.enabled_features
    names = [feature.feature_name for feature in features]
    option = detector.imputation_option
    return ForestSpec.from_document(
        detector.model,
        features=len(features),
        seed=crc32(detector_id.encode()) & 0x7FFFFFFF,
        imputation=Imputation.from_document(option.document() if option is not None else None, names),
        rules=read_rules([rule.document() for rule in detector.rules], names),
    )
