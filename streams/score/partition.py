"""One model partition: the windows that are not final yet and the models, of every running detector."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from schemas.checkpoint import ModelCheckpoint
from schemas.partial import NO_WINDOW, Partial
from schemas.result import Result
from streams.detectors import Running
from streams.score.documents import result_documents
from streams.score.limit import EntityLimit
from streams.score.merge import FinalWindow, RunMerge
from streams.score.models import DetectorModels, Events


@dataclass
class RunScore:
    """One run on one model partition. ``models`` is None while they are still being read back.

    The models of a historical analysis have no checkpoints, since they end with it: ``first_offset`` is where reading
    begins again after a crash. ``windows`` and ``anomalies`` count what it has scored.
    """

    running: Running
    merge: RunMerge
    models: DetectorModels | None
    records: dict[tuple[str, int], int] = field(default_factory=dict)
    late: dict[tuple[str, int], int] = field(default_factory=dict)
    first_offset: int | None = None
    limit: EntityLimit | None = None
    windows: int = 0
    anomalies: int = 0

    @property
    def historical(self) -> bool:
        """Whether this is an analysis, not real-time detection."""
        return self.running.task is not None

    @property
    def idle_models(self) -> DetectorModels | None:
        """The models, if those that are not used may leave memory: not where gaps are filled, since then each window
        uses all of them, nor of an analysis, which has a limit of its own."""
        plan, spec = self.running.plan, self.running.spec
        return None if self.historical or spec.imputation is not None or not plan.categories else self.models

    @property
    def done(self) -> bool:
        """Whether every source has said its last word and every window has been scored (analyses only)."""
        return self.merge.finished and self.merge.scored_until >= self.merge.watermark and not self.merge.backlog

    def add(self, partial: Partial, offset: int) -> None:
        """Take in one record of the partials topic."""
        source = (partial.topic, partial.partition)
        if self.first_offset is None:
            self.first_offset = offset
        self.records[source], self.late[source] = partial.records, partial.late
        self.merge.add(partial, offset)

    def score(
        self, now: int, clock: Iterator[int], max_imputed: int, most: int | None = None
    ) -> list[tuple[str, Result]]:
        """Score the windows that have become final, about ``most`` rows of them: entities and results.

        ``clock`` gives the wall clock.
        """
        if self.models is None:
            return []
        before = self.merge.scored_until
        windows = self.merge.take(most)
        self.windows += len(windows)
        if self.limit is not None:
            windows = [self.limit.admit(window) for window in windows]
        if self.running.spec.imputation is not None or not self.running.plan.categories:
            windows = self._with_gaps(windows, before, max_imputed)
        if not windows:
            return []
        plan = self.running.plan
        events = Events(
            [entity for window in windows for entity in window.entities],
            np.repeat([window.end for window in windows], [len(window.entities) for window in windows]),
            np.concatenate([plan.feature_values(window.columns) for window in windows]),
            np.repeat([window.first_offset for window in windows], [len(window.entities) for window in windows]),
        )
        started = next(clock)
        scored = self.models.score(plan.run, events, now, self.running.run.since)
        return list(result_documents(plan, events, scored, started, next(clock)))

    def _with_gaps(self, windows: list[FinalWindow], before: int, max_imputed: int) -> list[FinalWindow]:
        """The same windows with a row for every entity seen before, and the windows in which none had a record.

        At most ``max_imputed`` whole windows are made up: a clock that jumps by years must not fill memory. After a
        crash they begin where the models are, so that the same are made up again.
        """
        assert self.models is not None
        interval, until = self.running.plan.interval_ms, self.merge.scored_until
        known = {window.end: window for window in windows}
        start = before if before != NO_WINDOW else min(known, default=until)
        if before == NO_WINDOW and (restored := self.models.oldest_end(self.running.plan.run)) is not None:
            start = min(start, restored)
        ends = set(known) | set(range(max(start + interval, until - interval * (max_imputed - 1)), until + 1, interval))
        seen = dict.fromkeys(self.models.entities)
        filled = []
        for end in sorted(ends):
            window = known.get(end)
            present = set(window.entities) if window else set()
            missing = [entity for entity in seen if entity not in present]
            if window is not None:
                seen.update(dict.fromkeys(window.entities))
            if not missing:
                filled += [window] if window else []
                continue
            offset = window.first_offset if window else self._offset_of_gaps(windows)
            entities = [*(window.entities if window else ()), *missing]
            columns = [
                column.extended(window.columns[index], len(entities)) if window else column.empty(len(entities))
                for index, column in enumerate(self.running.plan.columns)
            ]
            filled.append(FinalWindow(end, offset, entities, columns))
        return filled

    @staticmethod
    def _offset_of_gaps(windows: Sequence[FinalWindow]) -> int:
        return min((window.first_offset for window in windows), default=np.iinfo(np.int64).max - 1)


@dataclass
class ModelPartition:
    """All runs of one partition of the partials topic. ``position`` is the next offset to read.

    Whoever scores holds the ``lock`` until the results have been handed over, whoever takes snapshots while doing so.
    """

    number: int
    position: int
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    runs: dict[str, RunScore] = field(default_factory=dict)
    unknown: dict[tuple[str, int], list[tuple[Partial, int]]] = field(default_factory=dict)

    def safe_offset(self) -> int:
        """Where reading would have to begin again to rebuild what no checkpoint holds."""
        offsets = [self.position, *(waiting[0][1] for waiting in self.unknown.values())]
        for run in self.runs.values():
            if run.historical:
                offsets.append(self.position if run.first_offset is None else run.first_offset)
                continue
            if (first := run.merge.first_offset) is not None:
                offsets.append(first)
            if run.models is not None:
                offsets.append(run.models.safe_offset(self.position))
        return min(offsets)

    def due(self, now: int, interval_ms: int) -> list[ModelCheckpoint]:
        """Snapshots of the models that are due; they count as written."""
        return [
            snapshot
            for run in self.runs.values()
            if run.models is not None and not run.historical
            for snapshot in run.models.checkpoint(run.models.due(now, interval_ms), now)
        ]

    def shelve(self, models: DetectorModels, rows: npt.NDArray[np.int64], now: int) -> list[ModelCheckpoint]:
        """Take models out of memory; the snapshots of those that changed since their last checkpoint."""
        snapshots = models.checkpoint(np.intersect1d(models.dirty(), rows), now)
        models.shelve(rows)
        return snapshots

    def dirty(self, owner: str, now: int) -> list[ModelCheckpoint]:
        """Snapshots of all models of a detector that changed since their last checkpoint."""
        run = self.runs.get(owner)
        if run is None or run.models is None:
            return []
        return run.models.checkpoint(run.models.dirty(), now)
