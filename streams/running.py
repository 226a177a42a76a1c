"""A detector, or an analysis, that runs: its configuration, compiled."""

from __future__ import annotations

from dataclasses import dataclass
from zlib import crc32

from schemas.detector import Detector
from schemas.state import Run
from schemas.task import Task
from streams.features.plan import Plan
from streams.forest import ForestSpec, Imputation, read_rules


@dataclass(frozen=True)
class Running:
    """One running detector, or one historical analysis: the configuration, compiled.

    ``task`` is the document that an analysis began with, None in real time.
    """

    detector: Detector
    run: Run
    plan: Plan
    spec: ForestSpec
    task: Task | None = None

    @property
    def sources(self) -> frozenset[tuple[str, int]]:
        """All (topic, partition) of the run."""
        return frozenset((topic, partition) for topic, parts in self.run.sources.items() for partition in parts)

    def start_of(self, topic: str, partition: int) -> int | None:
        """Offset of the first record of the partition that belongs to the run; None if it is not a source."""
        return self.run.sources.get(topic, {}).get(partition)

    def past_of(self, topic: str, partition: int) -> tuple[int, int] | None:
        """What was there at the start: (the first offset after it, the event time from which it belongs to the run);
        None where everything does."""
        live = self.run.live.get(topic, {}).get(partition)
        return None if live is None or self.run.since is None else (live, self.run.since)


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
        interval=max(1, detector.window_interval_ms // 1000),
        imputation=Imputation.from_document(option.document() if option is not None else None, names),
        rules=read_rules([rule.document() for rule in detector.rules], names),
    )
