"""One model partition: the windows that are not final yet and the models, of every running detector."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from schemas.partial import NO_WINDOW, Partial
from schemas.result import Result
from streams.fencing.fence import Record
from streams.fencing.share import Share
from streams.running import Running
from streams.score.documents import result_documents
from streams.score.limit import EntityLimit
from streams.score.merge import Fences, FinalWindow, RunMerge
from streams.score.models import DetectorModels, Events
from streams.score.store import deletions_of, deletions_of_all, owners_in, record_of_fences, records_of


@dataclass
class RunScore:
    """One run on one model partition. ``models`` is None while they are still being read back.

    The models of a historical analysis have no checkpoints, since they end with it: ``first_offset`` is where reading
    begins again after a crash. ``windows`` and ``anomalies`` count what it has scored. ``anew`` says that models of a
    former definition of the detector were dropped.
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
    anew: bool = False

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

    def add(self, partial: Partial, offset: int) -> bool:
        """Take in one record of the partials topic; False for one of a former owner of its source."""
        source = (partial.topic, partial.partition)
        if self.first_offset is None:
            self.first_offset = offset
        if not self.merge.add(partial, offset):
            return False
        self.records[source], self.late[source] = partial.records, partial.late
        return True

    @property
    def note(self) -> str:
        """What people should know of this run on this model partition; "" when there is nothing."""
        notes = [
            f"{topic}/{partition} is read to its end and far behind the other sources: no window waits for it any more"
            for topic, partition in self.merge.trailing
        ]
        if late := self.merge.late.total():
            notes.append(f"{late:,} rows of sources came after their windows had been scored, and do not count")
        if self.anew:
            notes.append("the models began anew: what the detector computes was changed")
        return "; ".join(notes)

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
        lifetime = self.models.lifetime_ms
        results: list[tuple[str, Result]] = []
        while windows:
            # Nearly always all: an entity must not come back within one call after more than the lifetime of models.
            span = [window for window in windows if window.end - windows[0].end <= lifetime]
            results += self._score(self.models, span, now, clock)
            windows = windows[len(span) :]
        return results

    def _score(
        self, models: DetectorModels, windows: list[FinalWindow], now: int, clock: Iterator[int]
    ) -> list[tuple[str, Result]]:
        plan = self.running.plan
        events = Events(
            [entity for window in windows for entity in window.entities],
            np.repeat([window.end for window in windows], [len(window.entities) for window in windows]),
            np.concatenate([plan.feature_values(window.columns) for window in windows]),
            np.repeat([window.first_offset for window in windows], [len(window.entities) for window in windows]),
        )
        started = next(clock)
        scored = models.score(plan.run, events, now, self.running.run.since)
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


@dataclass(frozen=True)
class Expiring:
    """Up to which window ends runs were scored when ``position`` came next; ``safe``: that was safe to commit since."""

    position: int
    until: Mapping[str, int]
    safe: bool = False


@dataclass
class ModelPartition:
    """All runs of one partition of the partials topic, and their models' share of the checkpoints.

    ``position`` is the next offset to read. Whoever scores holds the ``lock`` until the results have been handed over,
    whoever takes snapshots while doing so. A checkpoint is a snapshot, which is written and then confirmed: all methods
    that return records snapshot, and one checkpoint is under way at a time. ``known`` and ``strangers`` are what
    ``of_deleted_detectors`` saw last; ``stored_fences`` are the ``fences`` that are stored.
    """

    number: int
    position: int
    share: Share
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    runs: dict[str, RunScore] = field(default_factory=dict)
    unknown: dict[tuple[str, int], list[tuple[Partial, int]]] = field(default_factory=dict)
    strangers: frozenset[str] = frozenset()
    known: frozenset[str] | None = None
    expiring: Expiring | None = None
    fences: Fences = field(default_factory=dict)
    stored_fences: Fences | None = None

    def add(self, run: RunScore, partial: Partial, offset: int) -> None:
        """Take in one record of the partials topic for a run."""
        if run.add(partial, offset) and not run.historical:
            source = (partial.topic, partial.partition)
            if partial.epoch > self.fences.get(source, (-1, 0))[0]:
                self.fences[source] = (partial.epoch, offset)

    def safe_offset(self) -> int | None:
        """Where reading would have to begin again to rebuild what no checkpoint holds; None if that is not known yet.

        A source's new owner must not be forgotten: what its former owner wrote later would count again.
        """
        if self.fences != self.stored_fences:
            return None
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

    # -- checkpoints ------------------------------------------------------------------------------------------

    def due(self, now: int, interval_ms: int) -> list[Record]:
        """The checkpoints of the models that are due, and the fences of sources if they have changed."""
        records = []
        if self.fences != self.stored_fences:
            self.stored_fences = dict(self.fences)
            records += record_of_fences(self.share, self.fences)
        return records + [
            record
            for models in self._live_models()
            for record in records_of(self.share, models.snapshot(models.due(now, interval_ms), now))
        ]

    def changed(self, models: DetectorModels, rows: npt.NDArray[np.int64], now: int) -> list[Record]:
        """The checkpoints of those of a detector's models that have changed since their last one."""
        return records_of(self.share, models.snapshot(np.intersect1d(models.dirty(), rows), now))

    def confirm(self) -> None:
        """The records have arrived."""
        for models in self._live_models():
            models.confirm()

    def abandon(self) -> None:
        """The records may not have arrived."""
        self.stored_fences = None
        for models in self._live_models():
            models.abandon()

    def _live_models(self) -> Iterator[DetectorModels]:
        for run in self.runs.values():
            if run.models is not None and not run.historical:
                yield run.models

    # -- models that nobody needs any more --------------------------------------------------------------------

    def expired(self, committed: int) -> list[Record]:
        """Forget the models of entities that are gone; what deletes their checkpoints.

        Only once an offset past their last windows was safe, at ``committed``, at the call before: a restart that read
        one of these again would score it with a model that has learned nothing.
        """
        if self.expiring is None:
            until = {owner: run.merge.scored_until for owner, run in self.runs.items() if not run.historical}
            self.expiring = Expiring(self.position, until)
        elif committed < self.expiring.position:
            pass
        elif not self.expiring.safe:
            self.expiring = replace(self.expiring, safe=True)
        else:
            expiring, self.expiring = self.expiring, None
            return list(self._expire(expiring.until))
        return []

    def _expire(self, until: Mapping[str, int]) -> Iterator[Record]:
        for owner, run in self.runs.items():
            end = until.get(owner, NO_WINDOW)
            if run.models is not None and not run.historical and end != NO_WINDOW:
                yield from deletions_of(self.share, owner, run.models.expire(end))

    def of_deleted_detectors(self, known: Collection[str]) -> list[Record]:
        """What deletes the checkpoints of detectors that do not exist, if the last call saw the same.

        A detector that was just created may be known to somebody else first, who had the partition before.
        """
        known = frozenset(known)
        if known == self.known and not self.strangers:
            return []
        self.known = known
        strangers = owners_in(self.share) - self.runs.keys() - known
        gone, self.strangers = strangers & self.strangers, frozenset(strangers)
        return deletions_of_all(self.share, gone) if gone else []
