"""The default model: half-space trees for many entities at once.

A row's life: derive (what the trees see), scale (to the reference window's range), find the leaves, look up how
crowded they are, add how far from the mean the row is, compare with the model's own threshold. Then it is put
into the window, and at the end of a chapter the model learns its window anew (learning.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from streams.forest import checkpoint
from streams.forest.arrays import BoolArray, Float64Array, Int64Array, UInt8Array
from streams.forest.bank import Explanation, ForestBank, Steps
from streams.forest.cells import cell_of, leaves_of, reachable
from streams.forest.chapters import Chapters
from streams.forest.derive import LAGS, Runs, carry_forward, derive, lagged
from streams.forest.explain import explain
from streams.forest.learning import Learning
from streams.forest.log2 import STEP
from streams.forest.models import GAP, Models, columns_of
from streams.forest.record import header
from streams.forest.scoring import score
from streams.forest.season import hour_of, usual
from streams.forest.spec import ForestSpec
from streams.forest.structure import draw_spaced
from streams.forest.suppression import ignored
from streams.forest.threshold import alarms

ROWS_AT_ONCE = 2048
"""So many at a time, temporary arrays stay in the processor's cache."""


@dataclass(frozen=True)
class Events:
    """Events in the order of model and time: ``place`` [n] is where the caller has each.

    ``number`` [n] counts each model's events; ``columns`` [n, d, k] is what the trees see (models.py).
    """

    model: Int64Array
    number: Int64Array
    place: Int64Array
    hour: UInt8Array
    columns: Float64Array

    def __getitem__(self, part: Int64Array | slice) -> Events:
        return Events(self.model[part], self.number[part], self.place[part], self.hour[part], self.columns[part])


class DefaultBank(ForestBank):
    """See ``ForestBank``."""

    def __init__(self, spec: ForestSpec, capacity: int) -> None:
        self.spec = spec
        self.capacity = capacity
        self._columns = columns_of(spec)
        self._chapters = Chapters(spec.window)
        structure = draw_spaced(spec.seed, spec.features * self._columns, spec.trees, spec.height)
        self._table = reachable(structure)
        self._header = header(spec, structure.fingerprint)
        self._models = Models.unseen(spec, capacity)
        self._learning = Learning(spec, self._table)

    @property
    def bytes_per_model(self) -> int:
        return sum(array[:1].nbytes for array in Models.unseen(self.spec, 1).arrays().values())

    def grow(self, capacity: int) -> None:
        grown = Models.unseen(self.spec, capacity)
        grown.put(slice(self.capacity), self._models)
        self._models, self.capacity = grown, capacity

    def reset(self, rows: Int64Array) -> None:
        self._models.put(rows, Models.unseen(self.spec, 1))

    def seen(self, rows: Int64Array) -> Int64Array:
        return self._models.count[rows]

    def dump(self, rows: Int64Array) -> list[bytes]:
        return checkpoint.dump(self._models, rows, self._header)

    def load(self, rows: Int64Array, states: Sequence[bytes]) -> None:
        self._models.put(rows, checkpoint.load(self.spec, states, self._header))

    def step(self, rows: Int64Array, ends: Int64Array, values: Float64Array) -> Steps:
        n = len(rows)
        steps = Steps(
            score=np.zeros(n),
            threshold=np.zeros(n),
            grade=np.zeros(n),
            confidence=np.zeros(n),
            imputed=np.zeros(values.shape, np.bool_),
        )
        for chapter in self._by_chapter(self._arrange(rows, ends, values, steps.imputed)):
            self._judge(chapter, steps)
            self._remember(chapter, steps.score)
            finished = self._chapters.finished(chapter.number + 1)
            self._learning.learn(self._models, chapter.model[finished], chapter.number[finished] + 1)
        return steps

    def _arrange(self, rows: Int64Array, ends: Int64Array, values: Float64Array, imputed: BoolArray) -> Events:
        """Sort the events, fill in and derive what the trees see. Marks what is ``imputed``."""
        models = self._models
        place = np.argsort(rows, kind="stable")
        runs = Runs.of(rows[place])
        known = values[place]
        known = np.where(np.isfinite(known), known, np.nan)
        if self.spec.imputation is not None:
            before = carry_forward(known, runs, models.recent[runs.rows, 0])
            known, imputed[place] = self.spec.imputation.fill_in(known, before)
        present = ~np.isnan(known).all(axis=1)
        if not present.all():
            # A row that tells nothing is neither scored nor learned.
            place, known = place[present], known[present]
            runs = Runs.of(rows[place])
        carried = carry_forward(known, runs, models.recent[runs.rows, 0])
        lags = [lagged(carried, runs, models.recent, lag) for lag in range(1, LAGS + 1)]
        columns = np.empty((*known.shape, self._columns))
        columns[..., 0] = known
        columns[..., 1:GAP] = np.stack(derive(known, lags), axis=-1)
        events = Events(runs.rows, models.count[runs.rows] + runs.rank, place, hour_of(ends[place]), columns)
        last = np.flatnonzero(runs.last)
        models.recent[runs.rows[last]] = np.stack([carried[last], *(lag[last] for lag in lags[:-1])], axis=1)
        models.count[runs.rows[last]] += runs.rank[last] + 1
        return events

    def _by_chapter(self, events: Events) -> Iterator[Events]:
        """The events of each model's current chapter, then those of the next, and so on."""
        if not len(events.model):
            return
        chapter = self._chapters.of(events.number)
        first = np.ones(len(chapter), np.bool_)
        first[1:] = events.model[1:] != events.model[:-1]
        chapter -= chapter[np.maximum.accumulate(np.where(first, np.arange(len(chapter)), 0))]
        if not chapter.any():
            yield events
            return
        for current in range(int(chapter.max()) + 1):
            yield events[np.flatnonzero(chapter == current)]

    def _judge(self, events: Events, steps: Steps) -> None:
        models = self._models
        place, model = events.place, events.model
        for start in range(0, len(model), ROWS_AT_ONCE):
            part = slice(start, start + ROWS_AT_ONCE)
            steps.score[place[part]] = self._score(events[part])
        ready = models.ready[model]
        center, limit = models.center[model], models.threshold[model]
        severity = np.where(ready, (steps.score[place] - center) / np.where(ready, limit - center, 1.0), 0.0)
        raised = alarms(model, events.number, severity, models.last_severe, models.peak, self.spec.quiet_period)
        steps.threshold[place] = limit
        steps.grade[place] = np.where(raised, np.minimum(1.0, 0.1 + 0.9 * (severity - 1)), 0.0)
        missing = np.isnan(events.columns[..., 0]) | steps.imputed[place]
        maturity = np.minimum(1.0, (events.number + 1) / self.spec.window)
        steps.confidence[place] = np.where(ready, maturity, 0.0) * (1 - missing.mean(axis=1))
        for alarm in np.flatnonzero(raised):
            self._report(events[alarm : alarm + 1], steps)

    def _report(self, event: Events, steps: Steps) -> None:
        place = int(event.place[0])
        explanation: Explanation = explain(self._models, int(event.model[0]), event.columns[0])
        if ignored(self.spec.rules, explanation.attribution, event.columns[0, :, 0], explanation.expected):
            steps.grade[place] = 0.0
        else:
            steps.explanations[place] = explanation

    def _score(self, events: Events) -> Float64Array:
        models, model, columns = self._models, events.model, events.columns
        if self.spec.seasonality:
            level, weight = models.levels[model, events.hour], models.hour_weights[model, events.hour]
            columns[..., GAP] = columns[..., 0] - usual(level, weight, models.mean[model, :, 0])
        cells = cell_of((columns - models.base[model]) * models.gain[model])
        unknown = np.isnan(columns)
        if unknown.any():
            cells = np.where(unknown, models.neutral[model], cells)
        leaves = leaves_of(self._table, cells.reshape(len(model), -1))
        answer = score(models, model, columns, leaves, self.spec.height)
        return np.where(models.ready[model], answer, 0.0)

    def _remember(self, events: Events, scores: Float64Array) -> None:
        models, model, number = self._models, events.model, events.number
        known = events.columns[..., 0]
        new = np.isnan(models.origin[model]) & ~np.isnan(known)
        if new.any():
            # Backwards, so that of several first values of one model the earliest is the one that stays.
            for event in np.flatnonzero(new.any(axis=1))[::-1]:
                row = model[event]
                models.origin[row] = np.where(new[event], known[event], models.origin[row])
        slot = number % self.spec.window
        limit = np.finfo(np.float32).max
        models.window[model, slot] = np.clip(known - models.origin[model], -limit, limit)
        if self.spec.seasonality:
            models.hours[model, slot] = events.hour
        models.scores[model, number - self._chapters.start(number)] = scores[events.place] / STEP
