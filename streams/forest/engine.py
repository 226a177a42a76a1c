"""The default model: half-space trees for many entities at once.

A row's life: derive (what the trees see), scale (to the reference window's range), find the leaves, look up how
crowded they are, add how far from the mean the row is, compare with the model's own threshold. Then it is put
into the window, and at the end of a chapter the model learns its window anew (learning.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from streams.forest import limits, season
from streams.forest.arrays import Float64Array, Int64Array, UInt16Array
from streams.forest.bank import Explanation, Steps
from streams.forest.cells import cell_of, leaves_of, reachable
from streams.forest.chapters import Chapters
from streams.forest.confidence import confidence
from streams.forest.derive import Runs, carry_forward
from streams.forest.distance import distances
from streams.forest.explain import BAND, code_of, nearness, past, shares
from streams.forest.incidents import judge
from streams.forest.lasting import ROWS, running, units
from streams.forest.learning import Learning
from streams.forest.log2 import STEP
from streams.forest.models import (
    BASE,
    BITS,
    CENTER,
    CLOSENESS,
    FAMILIES,
    FARTHEST,
    GAIN,
    RUN,
    TREE_COLUMNS,
    VALUE,
    Models,
)
from streams.forest.scoring import loudest, scores
from streams.forest.season import PROTECTED, Day
from streams.forest.sight import RUN_BITS, Past, Seen, see
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

    ``number`` [n] counts each model's events, ``mark`` [n] is the time of the day (season.py), ``values`` [n, d] are
    NaN where nothing is known.
    """

    model: Int64Array
    number: Int64Array
    place: Int64Array
    end: Int64Array
    mark: UInt16Array
    values: Float64Array

    def __getitem__(self, part: Int64Array | slice) -> Events:
        return Events(
            *(self.model[part], self.number[part], self.place[part]),
            *(self.end[part], self.mark[part], self.values[part]),
        )


class DefaultBank(TableBank[Models]):
    """See ``ForestBank``."""

    learning = Learning

    def __init__(self, spec: ForestSpec, capacity: int) -> None:
        self._day = Day.of(spec.interval, spec.seasonality)
        self._chapters = Chapters(spec.window)
        # Held, so that the banks of one detector share it.
        self._structure = draw_spaced(spec.seed, spec.features * TREE_COLUMNS, spec.trees, spec.height)
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
        runs = Runs.of(rows[place])
        number = self._models.count[runs.rows] + runs.rank
        last = np.flatnonzero(runs.last)
        models.count[runs.rows[last]] += runs.rank[last] + 1
        mark = season.marks(ends[place], self.spec.interval, self._day, self.spec.time_zone)
        return Events(runs.rows, number, place, ends[place], mark, known)

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
        seen, of_families = self._see(events), np.empty((len(model), limits.WHOLE))
        for start in range(0, len(model), ROWS_AT_ONCE):
            part = slice(start, start + ROWS_AT_ONCE)
            of_families[part] = self._score(model[part], seen.columns[part])
        center = models.centers[model, limits.WHOLE].astype(np.float64)
        limit = models.limits[model, 0].astype(np.float64)
        ready = np.isfinite(limit)
        of_families[~ready] = 0.0
        scores = loudest(of_families)
        self._remember(events, scores)
        severity = loudest(limits.severities(models, model, of_families))
        lasting = (self._lasting(events) - center) / (models.limits[model, 1 + limits.WHOLE] - center)
        lasts = lasting > np.maximum(severity, 0.0)
        severity = np.where(lasts, lasting, severity)
        # What a row alone would have to score to be as severe: so one threshold tells about all judges.
        steps.score[place] = np.where(
            ready, np.maximum(0.0, center + severity * np.where(ready, limit - center, 0.0)), 0.0
        )

        def ignored(event: int) -> bool:
            explanation = self._explain(events, seen, event, bool(lasts[event]))
            return self._ignored(steps, int(place[event]), events.values[event], explanation)

        judged = judge(
            *(models.incident, models.worst, model, events.number, events.end, severity, self.spec.quiet_period),
            ignored,
        )
        steps.threshold[place] = np.where(ready, limit, 0.0)
        steps.learning[place] = events.number < self.spec.window
        steps.expected[place], steps.spread[place] = seen.usual + seen.forecast, seen.spread
        steps.grade[place], steps.incident[place] = grades(severity, judged.raised), judged.incident
        missing = np.isnan(events.values) | steps.imputed[place]
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

    def _explain(self, events: Events, seen: Seen, event: int, lasts: bool) -> Explanation:
        models, row, columns = self._models, int(events.model[event]), seen.columns[event]
        protected = models.marks[row] >= PROTECTED
        begin, length = int(models.begin[row]), self._chapters.length
        known = past(models.window[row], protected, models.origin[row], begin, length)
        # What follows oddness that lasts is more of it: what is usual at this hour tells what is odd about it.
        expected = seen.usual[event] + (0.0 if lasts else seen.forecast[event])
        expected = np.where(np.isnan(expected), models.frame[row, CENTER, :, VALUE], expected)
        band = BAND * seen.spread[event]
        lacking = np.repeat(columns[None], self.spec.features + 1, axis=0)
        lacking[np.arange(self.spec.features), np.arange(self.spec.features)] = np.nan
        rows = np.full(len(lacking), row)
        severe = limits.severities(models, rows, self._score(rows, lacking))
        family = int(np.argmax(severe[-1]))
        far = distances(columns, models.frame[row, CENTER], models.frame[row, CLOSENESS])
        own = shares(far.max(axis=-1) if lasts else far[:, FAMILIES[family]].max(axis=-1))
        drop = np.maximum(severe[-1].max() - severe[:-1].max(axis=1), 0.0)
        share = own if not drop.any() else 0.5 * (own + drop / drop.sum())
        feature = int(np.argmax(share))
        code, windows = code_of(columns[feature], far[feature], float(expected[feature]), family, lasts), 0
        if code == "STANDS_STILL":
            windows = 1 + round(columns[feature, RUN] * RUN_BITS / models.known[row, BITS, feature])
        near = nearness(known, columns[:, VALUE], expected)
        return Explanation(share, expected, near, expected - band, expected + band, code, feature, windows)

    def _see(self, events: Events) -> Seen:
        past = Past.of(self._models)
        return see(self._models, events.model, past, Runs.of(events.model), events.values, events.mark, self._day)

    def _score(self, model: Int64Array, columns: Float64Array) -> Float64Array:
        """The scores [n, FAMILIES] of the columns of ``model`` [n]; of no use for models that know nothing yet."""
        models, cut = self._models, columns[..., :TREE_COLUMNS]
        scale = models.scale[model]
        cells = cell_of((cut - scale[:, BASE]) * scale[:, GAIN])
        unknown = np.isnan(cut)
        if unknown.any():
            cells = np.where(unknown, models.neutral[model], cells)
        leaves = leaves_of(self._table, cells.reshape(len(model), -1))
        return scores(models.codes, model, leaves, columns, models.frame[model], self.spec.height)

    def _remember(self, events: Events, scores: Float64Array) -> None:
        models, model, number, known = self._models, events.model, events.number, events.values
        new = np.isnan(models.origin[model]) & ~np.isnan(known)
        if new.any():
            # Backwards, so that of several first values of one model the earliest is the one that stays.
            for event in np.flatnonzero(new.any(axis=1))[::-1]:
                row = model[event]
                models.origin[row] = np.where(new[event], known[event], models.origin[row])
        slot = number % self.spec.window
        models.window[model, slot] = np.clip(known - models.origin[model], -FARTHEST, FARTHEST)
        models.marks[model, slot] = events.mark
        models.scores[model, number - models.begin[model]] = scores / STEP
