"""The default model: half-space trees for many entities at once.

A row's life: derive (what the trees see), scale (to the reference window's range), find the leaves, look up how
crowded they are, add how far from the mean the row is, compare with the model's own threshold. Then it is put
into the window, and at the end of a chapter the model learns its window anew (learning.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from streams.forest.arrays import Float64Array, Int64Array, UInt8Array
from streams.forest.bank import Explanation, Steps
from streams.forest.cells import cell_of, leaves_of, reachable
from streams.forest.chapters import Chapters
from streams.forest.confidence import confidence
from streams.forest.derive import Runs, carry_forward, derive, lagged
from streams.forest.distance import distances
from streams.forest.explain import nearness, past, shares, successors
from streams.forest.incidents import judge
from streams.forest.lasting import ROWS, running, units
from streams.forest.learning import Learning
from streams.forest.log2 import STEP
from streams.forest.models import BASE, CENTER, CLOSENESS, FARTHEST, GAIN, GAP, Models, columns_of
from streams.forest.scoring import score
from streams.forest.season import PROTECTED, hour_of, usual
from streams.forest.spec import ForestSpec
from streams.forest.structure import draw_spaced
from streams.forest.table import TableBank, grades, no_steps

HUGE = 1e150
"""Values beyond are taken for this: their squares would be infinite."""

ROWS_AT_ONCE = 2048
"""So many at a time, temporary arrays stay in the processor's cache."""

MODELS_TO_LEARN = 32
"""When so many have finished a chapter they learn, if none of them was needed before."""


@dataclass(frozen=True)
class Events:
    """Events in the order of model and time: ``place`` [n] is where the caller has each.

    ``number`` [n] counts each model's events; ``before`` [n, LAGS, d] are the values before each, ``columns``
    [n, d, k] is what the trees see (models.py).
    """

    model: Int64Array
    number: Int64Array
    place: Int64Array
    end: Int64Array
    hour: UInt8Array
    before: Float64Array
    columns: Float64Array

    def __getitem__(self, part: Int64Array | slice) -> Events:
        return Events(
            *(self.model[part], self.number[part], self.place[part], self.end[part], self.hour[part]),
            *(self.before[part], self.columns[part]),
        )


class DefaultBank(TableBank[Models]):
    """See ``ForestBank``."""

    learning = Learning

    def __init__(self, spec: ForestSpec, capacity: int) -> None:
        self._columns = columns_of(spec)
        self._chapters = Chapters(spec.window)
        # Held, so that the banks of one detector share it.
        self._structure = draw_spaced(spec.seed, spec.features * self._columns, spec.trees, spec.height)
        self._table = reachable(self._structure)
        self._learning = self.learning(spec, self._table)
        self._finished: list[Int64Array] = []
        self._is_finished = np.zeros(capacity, np.bool_)
        super().__init__(spec, capacity, self._structure.fingerprint)

    def _unseen(self, capacity: int) -> Models:
        return Models.unseen(self.spec, capacity)

    def step(self, rows: Int64Array, ends: Int64Array, values: Float64Array) -> Steps:
        steps = no_steps(values, imputes=self.spec.imputation is not None)
        for chapter in self._by_chapter(self._arrange(rows, ends, values, steps)):
            self._judge(chapter, steps)
            finished = chapter.model[chapter.number + 1 == self._models.end[chapter.model]]
            if len(finished):
                self._finished.append(finished)
                self._is_finished[finished] = True
        if sum(map(len, self._finished)) >= MODELS_TO_LEARN:
            self._learn()
        return steps

    def _learn(self) -> None:
        """Let the models learn that have finished a chapter since this was called last.

        That waits until one of them is needed, or some are together: with one or two models at a time, most of the
        time would go into calling NumPy.
        """
        if self._finished:
            rows = np.concatenate(self._finished)
            self._finished.clear()
            self._is_finished[rows] = False
            self._learning.learn(self._models, rows, self._models.end[rows])

    def grow(self, capacity: int) -> None:
        self._is_finished = np.append(self._is_finished, np.zeros(capacity - self.capacity, np.bool_))
        super().grow(capacity)

    def reset(self, rows: Int64Array) -> None:
        self._learn()
        super().reset(rows)

    def dump(self, rows: Int64Array) -> list[bytes]:
        self._learn()
        return super().dump(rows)

    def load(self, rows: Int64Array, states: Sequence[bytes]) -> None:
        self._learn()
        super().load(rows, states)

    def _arrange(self, rows: Int64Array, ends: Int64Array, values: Float64Array, steps: Steps) -> Events:
        """Sort the events, fill in and derive what the trees see. Puts what is filled in into ``steps``."""
        models = self._models
        place = np.argsort(rows, kind="stable")
        known = values[place]
        known = np.where(np.isfinite(known), np.minimum(np.maximum(known, -HUGE), HUGE), np.nan)
        if self.spec.imputation is not None:
            runs = Runs.of(rows[place])
            latest = carry_forward(known, runs, models.recent[runs.rows, 0])
            known, steps.imputed[place] = self.spec.imputation.fill_in(known, latest)
            steps.values[place] = known
        present = ~np.isnan(known).all(axis=1)
        if not present.all():
            # A row that tells nothing is neither scored nor learned.
            place, known = place[present], known[present]
        model = rows[place]
        number, before, columns = self._derive(model, known)
        return Events(model, number, place, ends[place], hour_of(ends[place]), before, columns)

    def _derive(self, rows: Int64Array, known: Float64Array) -> tuple[Int64Array, Float64Array, Float64Array]:
        """The number of each event, the values before it and what the trees see. Counts them.

        ``rows`` [n] are sorted, ``known`` [n, d] are the values.
        """
        models = self._models
        runs = Runs.of(rows)
        carried = carry_forward(known, runs, models.recent[runs.rows, 0])
        before = lagged(carried, runs, models.recent)
        columns = np.empty((*known.shape, self._columns))
        columns[..., 0] = known
        columns[..., 1:GAP] = np.stack(derive(known, before), axis=-1)
        number = models.count[runs.rows] + runs.rank
        last = np.flatnonzero(runs.last)
        models.recent[runs.rows[last]] = np.concatenate([carried[last, None], before[last, :-1]], axis=1)
        models.count[runs.rows[last]] += runs.rank[last] + 1
        return number, before, columns

    def _by_chapter(self, events: Events) -> Iterator[Events]:
        """The events of each model's current chapter, then those of the next, and so on."""
        if not len(events.model):
            return
        if self._is_finished[events.model].any():
            self._learn()
        beyond = events.number >= self._models.end[events.model]
        if not beyond.any():
            yield events
            return
        current = self._chapters.of(self._models.begin[events.model])
        chapter = np.where(beyond, self._chapters.of(events.number) - current, 0)
        for number in range(int(chapter.max()) + 1):
            if number > 0:
                self._learn()
            yield events[np.flatnonzero(chapter == number)]

    def _judge(self, events: Events, steps: Steps) -> None:
        models = self._models
        place, model = events.place, events.model
        for start in range(0, len(model), ROWS_AT_ONCE):
            part = slice(start, start + ROWS_AT_ONCE)
            steps.score[place[part]] = self._score(events[part])
        self._remember(events, steps.score)
        center, limit = models.limits[model].T
        severity = (steps.score[place] - center) / (limit - center)
        lasting = (self._lasting(events) - center) / (models.lasting_limit[model] - center)
        longer = np.flatnonzero(lasting > np.maximum(severity, 0.0))
        lasts = lasting > np.maximum(severity, 1.0)
        severity[longer] = lasting[longer]
        # What a row alone would have to score to be as severe: so one threshold tells about both.
        steps.score[place[longer]] = center[longer] + lasting[longer] * (limit - center)[longer]

        def ignored(event: int) -> bool:
            columns = events.columns[event]
            explanation = self._explain(
                int(model[event]), int(events.number[event]), events.before[event], columns, bool(lasts[event])
            )
            return self._ignored(steps, int(place[event]), columns[:, 0], explanation)

        judged = judge(
            *(models.incident, models.worst, model, events.number, events.end, severity, self.spec.quiet_period),
            ignored,
        )
        ready = np.isfinite(limit)
        steps.threshold[place] = np.where(ready, limit, 0.0)
        steps.grade[place], steps.incident[place] = grades(severity, judged.raised), judged.incident
        missing = np.isnan(events.columns[..., 0]) | steps.imputed[place]
        sure = confidence(events.number, np.add.reduce(missing, axis=1) / self.spec.features)
        steps.confidence[place] = np.where(ready, sure, 0.0)

    def _lasting(self, events: Events) -> Float64Array:
        models, model = self._models, events.model
        position = events.number - models.begin[model]
        left = position - ROWS
        own = units(models.scores[model, position])
        leaving = np.where(
            left < 0,
            models.earlier[model, np.minimum(left + ROWS, ROWS - 1)],
            units(models.scores[model, np.maximum(left, 0)]),
        )
        first = np.ones(len(model), np.bool_)
        first[1:] = model[1:] != model[:-1]
        return running(first, own, leaving, model, models.lasting)

    def _explain(self, row: int, number: int, before: Float64Array, columns: Float64Array, lasts: bool) -> Explanation:
        models = self._models
        protected = models.marks[row] >= PROTECTED
        begin, length = int(models.begin[row]), self._chapters.length
        known = past(models.window[row], protected, models.origin[row], begin, length)
        frame = models.frame[row]
        usually = frame[CENTER, :, 0]
        if not lasts:
            expected = successors(known, before, usually)
        elif self.spec.seasonality:
            # What follows oddness that lasts is more of it: what is usual at this hour tells what is odd about it.
            expected = np.where(np.isnan(columns[:, GAP]), usually, columns[:, 0] - columns[:, GAP])
        else:
            expected = usually
        lacking = np.repeat(columns[None], self.spec.features + 1, axis=0)
        lacking[np.arange(self.spec.features), np.arange(self.spec.features)] = np.nan
        rows = np.full(len(lacking), row)
        score = self._score_columns(rows, lacking, models.frame[rows])
        far = distances(columns, frame[CENTER], frame[CLOSENESS]).max(axis=-1)
        drop = np.maximum(score[-1] - score[:-1], 0.0)
        share = shares(far) if not drop.any() else 0.5 * (shares(far) + drop / drop.sum())
        return Explanation(share, expected, nearness(known, columns[:, 0], expected))

    def _score(self, events: Events) -> Float64Array:
        models, model, columns = self._models, events.model, events.columns
        frame = models.frame[model]
        if self.spec.seasonality:
            level = models.levels[model, events.hour] + models.origin[model]
            weight = models.hour_weights[model, events.hour]
            columns[..., GAP] = columns[..., 0] - usual(level, weight, frame[:, CENTER, :, 0])
        ready = np.isfinite(models.limits[model, 1])
        return np.where(ready, self._score_columns(model, columns, frame), 0.0)

    def _score_columns(self, model: Int64Array, columns: Float64Array, frame: Float64Array) -> Float64Array:
        cells = cell_of((columns - frame[:, BASE]) * frame[:, GAIN])
        unknown = np.isnan(columns)
        if unknown.any():
            cells = np.where(unknown, self._models.neutral[model], cells)
        leaves = leaves_of(self._table, cells.reshape(len(model), -1))
        return score(self._models.codes, model, leaves, columns, frame, self.spec.height)

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
        models.window[model, slot] = np.clip(known - models.origin[model], -FARTHEST, FARTHEST)
        models.marks[model, slot] = events.hour
        models.scores[model, number - models.begin[model]] = scores[events.place] / STEP
