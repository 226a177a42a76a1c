"""A run of a detector over the rows of a file: the workers' decoder, windows, merge and models, one after the other.

A file is a source of one partition that is read to its end. What workers send each other through Kafka is handed over.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain, islice, repeat
from typing import Any

import msgspec
import numpy as np

from deploy.offline.fields import SAMPLE, Fields, check_times, check_usable, values_of
from deploy.offline.interval import complete_until, interval_of, usual_gap
from deploy.offline.row import Row
from schemas.detector import Detector, DetectorLimits, parse_detector
from schemas.errors import Refused
from schemas.interval import Interval
from schemas.result import Result
from schemas.state import Run
from streams.features.plan import Plan
from streams.forest.spec import MAX_FEATURES
from streams.formats.time import moment_text, told_unit
from streams.ingest.decode import Decoder
from streams.ingest.entities import NO_ENTITY, EntityTable
from streams.ingest.windows import Batch, RunWindows
from streams.running import Running, forest_spec
from streams.score.merge import RunMerge
from streams.score.models import DetectorModels
from streams.score.partition import RunScore
from streams.settings import Settings

DETECTOR_ID = "detect"
SOURCE = ("file", 0)
BATCH = 10_000
"""Rows that are decoded together, and rows of windows that are scored together."""


@dataclass
class Counts:
    """What became of the rows. ``empty`` ones count, but hold no value of any feature; ``outside`` are those that the
    filter leaves out or that have no category value; ``unusable`` counts by reason, with an example of each. ``times``
    are the least and the greatest time (epoch ms)."""

    read: int = 0
    used: int = 0
    times: tuple[int, int] = (0, 0)
    empty: int = 0
    outside: int = 0
    late: int = 0
    unusable: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)

    def lines(self) -> list[str]:
        """This for people.

        >>> Counts(read=3, used=2, late=1, times=(0, 60_000)).lines()
        ['3 rows read, from 1970-01-01T00:00:00Z to 1970-01-01T00:01:00Z: 2 used (0 without a value), 1 late']
        """
        first, last = map(moment_text, self.times)
        parts = [f"{self.used:,} used ({self.empty:,} without a value)", f"{self.late:,} late"]
        if self.outside:
            parts.append(f"{self.outside:,} left out by the filter or without a category")
        if self.unusable:
            parts.append(f"{self.unusable.total():,} unusable")
        return [
            f"{self.read:,} rows read, from {first} to {last}: {', '.join(parts)}",
            *(f"  {count:,} {reason}: {self.examples[reason]}" for reason, count in self.unusable.most_common()),
        ]


def detector_of(document: dict[str, Any]) -> Detector:
    """The detector of a document, whose features need no ids: they have their names. Raises ``Refused`` (400)."""
    features = [{**each, "feature_id": each["feature_name"]} for each in document["feature_attributes"]]
    categories = len(document.get("category_field", ()))
    limits = DetectorLimits(max_features=MAX_FEATURES, category_field_limit=max(2, categories))
    members = {**document, "feature_attributes": features, "format": "json"}
    return parse_detector(members, limits=limits, now_ms=0, new_id=str)


class FileRun:
    """Decodes all ``rows`` (JSON records) of a file; ``results`` are then those of its windows.

    ``detector`` has any interval where ``find_interval`` is set; it is then found from the rows. Without a
    ``window_delay`` no row is late, in whatever order they are. The last window is scored if it is over, that is, if no
    other row was to be expected in it. Raises ``Refused`` (400) when no row can be used, and which field is to blame.
    """

    def __init__(self, detector: Detector, rows: Iterable[bytes], fields: Fields, *, find_interval: bool) -> None:
        self._settings = Settings()
        rows = iter(rows)
        self._sample = list(islice(rows, SAMPLE))
        if detector.time_unit is None:
            detector = msgspec.structs.replace(detector, time_unit=told_unit(values_of(self._sample, fields.time)))
        plan = self._plan(detector)
        self._table = EntityTable(plan)
        self.counts = Counts()
        self._batches = list(self._decoded(plan, chain(self._sample, rows)))
        times = np.concatenate([batch.times for batch in self._batches] or [np.empty(0, np.int64)])
        self._check(fields, plan, times)
        gap = usual_gap(times, np.concatenate([batch.entities for batch in self._batches]))
        if find_interval:
            if gap is None:
                raise Refused(400, "No interval can be found in the rows; give one with --interval")
            detector = msgspec.structs.replace(detector, detection_interval=_seconds(interval_of(gap)))
        if detector.window_delay is None:
            # As long as the rows are out of order: none is late, and windows close as early as they can.
            disorder = int((np.maximum.accumulate(times) - times).max())
            detector = msgspec.structs.replace(detector, window_delay=_seconds(disorder))
        self.plan = self._plan(detector)
        self.counts.times = (int(times.min()), int(times.max()))
        self._until = complete_until(int(times.max()), gap, self.plan.interval_ms)
        spec = forest_spec(DETECTOR_ID, detector)
        models = DetectorModels(DETECTOR_ID, spec, checkpoint_windows=self._settings.model_checkpoint_windows)
        run = Run(id=0, sources={SOURCE[0]: {SOURCE[1]: 0}})
        running = Running(detector, run, self.plan, spec)
        self._score = RunScore(running, RunMerge(self.plan.columns, [SOURCE]), models)

    def _plan(self, detector: Detector) -> Plan:
        return Plan.build(
            owner=DETECTOR_ID,
            run=0,
            detector_id=DETECTOR_ID,
            detector=detector,
            partitions=1,
            most_delay_ms=int(self._settings.max_auto_delay * 1000),
        )

    # -- reading ----------------------------------------------------------------------------------------------

    def _decoded(self, plan: Plan, rows: Iterator[bytes]) -> Iterator[Batch]:
        decoder = Decoder([plan], [self._table], max_ahead_ms=0)
        counts = self.counts
        while some := [Row(counts.read + place, value) for place, value in enumerate(islice(rows, BATCH))]:
            counts.read += len(some)
            decoded = decoder.decode(*SOURCE, some)
            for letter in decoded.dead_letters:
                counts.unusable[letter.reason] += 1
                counts.examples.setdefault(letter.reason, f"{letter.detail} (row {letter.offset + 1:,})")
            batch = decoded.batches[plan.owner]
            inside = batch.entities != NO_ENTITY
            missing = np.logical_and.reduce([np.isnan(values) for values in batch.values.values()])
            counts.outside += batch.count(~inside)
            counts.empty += batch.count(inside & missing)
            yield batch

    def _check(self, fields: Fields, plan: Plan, times: np.ndarray[Any, Any]) -> None:
        """Raise for a field of which nothing can be used."""
        inside = sum(int(np.count_nonzero(batch.entities != NO_ENTITY)) for batch in self._batches)
        if not inside:
            for name in fields.named:
                check_usable(self._sample, name, number=False)
        for entry in plan.inputs:
            if not any(np.isfinite(batch.values[entry]).any() for batch in self._batches):
                check_usable(self._sample, entry.path, number=entry.reads == "number")
        check_times(self._sample, fields.time, int(np.median(times)) if len(times) else 0)
        if not inside:
            raise Refused(400, "\n".join(["No row can be used.", *self.counts.lines()]))

    # -- results ----------------------------------------------------------------------------------------------

    @property
    def models(self) -> int:
        """How many models there are now."""
        return 0 if self._score.models is None else len(self._score.models)

    @property
    def steps(self) -> int:
        """How many iterators ``results`` yields."""
        return len(self._batches) + 1

    def results(self) -> Iterator[Iterator[Result]]:
        """The results of all windows in the order of time, in ``steps``. To be iterated once, each step to its end.

        ``counts`` are complete at the end.
        """
        windows = RunWindows(self.plan, self._table, 0)
        for batch in self._batches:
            windows.fold(batch, int(batch.offsets[-1]) + 1 if len(batch.offsets) else windows.offset)
            yield self._results(windows, finished=False)
        yield self._results(windows, finished=True)
        self.counts.used, self.counts.late = windows.records, windows.late

    def _results(self, windows: RunWindows, *, finished: bool) -> Iterator[Result]:
        closed = windows.close_all() if finished else windows.close()
        until = self._until if finished else windows.closed_until
        partials = windows.partials(*SOURCE, closed, until=until, finished=finished, max_bytes=2**31)
        for _partition, partial in partials:
            self._score.add(partial, windows.offset)
        while self._score.merge.scored_until < self._score.merge.watermark:
            found = self._score.score(0, repeat(0), self._settings.max_imputed_windows, BATCH)
            yield from (result for _entity, result in found)


def _seconds(milliseconds: int) -> Interval:
    return Interval(-(-milliseconds // 1000), "Seconds")
