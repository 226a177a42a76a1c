"""River's own ``preprocessing.MinMaxScaler() | anomaly.HalfSpaceTrees(seed=...)``, bit for bit, for many entities.

River keeps two masses in each of 5,110 node objects, 1 MB a model. Here a model keeps the leaf into which each
row of the current window fell, and for each leaf of the finished window the sum that River would collect on the
way down. All of it is whole numbers, so the order of additions doesn't matter.

The scores are River's; threshold, grade and the rest are ours (threshold.py), on the logarithm of the score.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from schemas.reason import Code
from streams.forest import distance, incidents, threshold
from streams.forest.arrays import Float64Array, Int16Array, Int64Array
from streams.forest.bank import Explanation, Steps
from streams.forest.confidence import confidence
from streams.forest.derive import Runs, carry_forward, running_max
from streams.forest.distance import deviation
from streams.forest.explain import BAND, LEAST_FAR, shares
from streams.forest.export import pipeline
from streams.forest.log2 import STEP, exp2, log2
from streams.forest.reference import STOP, heap_order, sums_of_leaves
from streams.forest.spec import ForestSpec
from streams.forest.structure import Structure, draw_river
from streams.forest.table import Table, TableBank, grades, no_steps
from streams.forest.walk import leaves, leaves_by_mass

HUGE = 1e150
"""Values beyond are taken for this where squares are computed (River computes none)."""

CENTER_MEMORY = 1440.0
"""Rows after which the usual score has moved half way."""


@dataclass
class RiverModels(Table):
    """One row a model; d features, w rows in the window."""

    ALIKE = ("sums", "reference")

    count: Int64Array
    """Events learned."""
    asked: Int64Array
    """Which features the trees ask for, as bits: those of the first event, as in River."""
    values: Float64Array
    """[w, d] the values of the current window, NaN for missing."""
    middle: Float64Array
    """[d] their mean in the finished window, and"""
    spread: Float64Array
    """[d] their standard deviation."""
    low: Float64Array
    """[d] the lowest and"""
    high: Float64Array
    """[d] the highest value so far."""
    last: Float64Array
    """[d] the last known value."""
    log: npt.NDArray[np.uint16]
    """[w, trees] the leaf of each row of the current window."""
    sums: npt.NDArray[np.uint32]
    """[trees, leaves] what River's walk to each leaf collects of the finished window."""
    reference: npt.NDArray[np.uint16]
    """[trees, leaves] how many of its rows lie in each leaf."""
    bits: Int16Array
    """[w] the logarithmic scores of the current window, in steps of 2^-10."""
    peaks: Int16Array
    """[PEAKS] the highest of them in each of the last windows."""
    center: Float64Array
    """What a usual row scores, in bits."""
    limit: Float64Array
    """From where on a row is severe, in bits; 0 while it isn't known."""
    incident: Int64Array
    """[incidents.COLUMNS] where the latest incident stands, and"""
    worst: Float64Array
    """the highest severity in it."""

    @classmethod
    def unseen(cls, spec: ForestSpec, capacity: int) -> RiverModels:
        """Rows of models that have seen nothing."""
        d, w = spec.features, spec.window
        return cls(
            count=np.zeros(capacity, np.int64),
            asked=np.zeros(capacity, np.int64),
            values=np.full((capacity, w, d), np.nan),
            middle=np.zeros((capacity, d)),
            spread=np.zeros((capacity, d)),
            low=np.full((capacity, d), np.inf),
            high=np.full((capacity, d), -np.inf),
            last=np.full((capacity, d), np.nan),
            log=np.zeros((capacity, w, spec.trees), np.uint16),
            sums=np.zeros((capacity, spec.trees, 1 << spec.height), np.uint32),
            reference=np.zeros((capacity, spec.trees, 1 << spec.height), np.uint16),
            bits=np.zeros((capacity, w), np.int16),
            peaks=np.full((capacity, threshold.PEAKS), threshold.EMPTY, np.int16),
            center=np.zeros(capacity),
            limit=np.zeros(capacity),
            incident=incidents.unseen(capacity),
            worst=np.zeros(capacity),
        )


@dataclass(frozen=True)
class Events:
    """Events in the order of model and time: ``place`` [n] is where the caller has each.

    ``number`` [n] counts each model's events. ``before`` and ``after`` [n, d] are the scaled values, by the
    ranges before the event (to score) and with it (to learn), as River's pipeline does it.
    """

    model: Int64Array
    number: Int64Array
    place: Int64Array
    rank: Int64Array
    end: Int64Array
    values: Float64Array
    before: Float64Array
    after: Float64Array

    def __getitem__(self, part: Int64Array) -> Events:
        return Events(*(getattr(self, field.name)[part] for field in fields(self)))


class RiverBank(TableBank[RiverModels]):
    """See ``ForestBank``. Features stand for River's feature names in sorted order."""

    def __init__(self, spec: ForestSpec, capacity: int) -> None:
        self._most = spec.trees * spec.window * ((2 << spec.height) - 1)
        structure = draw_river(spec.seed, spec.features, spec.trees, spec.height)
        self._reach = threshold.reach(spec.interval, spec.sensitivity)
        super().__init__(spec, capacity, structure.fingerprint)

    def _unseen(self, capacity: int) -> RiverModels:
        return RiverModels.unseen(self.spec, capacity)

    def step(self, rows: Int64Array, ends: Int64Array, values: Float64Array) -> Steps:
        steps = no_steps(values, imputes=self.spec.imputation is not None)
        events = self._arrange(rows, ends, values, steps)
        if not len(events.model):
            return steps
        # Within a window, nothing that complete rows read is written: they need no order.
        window = events.number // self.spec.window
        window -= window[np.arange(len(window)) - events.rank]
        for current in range(int(window.max()) + 1):
            self._step_in_window(events[np.flatnonzero(window == current)], steps)
        return steps

    def _arrange(self, rows: Int64Array, ends: Int64Array, values: Float64Array, steps: Steps) -> Events:
        models = self._models
        place = np.argsort(rows, kind="stable")
        runs = Runs.of(rows[place])
        known = np.where(np.isfinite(values[place]), values[place], np.nan)
        if self.spec.imputation is not None:
            before = carry_forward(known, runs, models.last[runs.rows])
            known, steps.imputed[place] = self.spec.imputation.fill_in(known, before)
            steps.values[place] = known
        present = ~np.isnan(known).all(axis=1)
        if not present.all():
            # River has no answer to a row without features.
            place, known = place[present], known[present]
            runs = Runs.of(rows[place])
        model = runs.rows
        number = models.count[model] + runs.rank
        first = number == 0
        models.asked[model[first]] = (~np.isnan(known[first])) @ (1 << np.arange(self.spec.features))
        high_before, high = running_max(known, runs, models.high[model])
        low_before, low = running_max(-known, runs, -models.low[model])
        last = np.flatnonzero(runs.last)
        models.last[model[last]] = carry_forward(known, runs, models.last[model])[last]
        models.high[model[last]], models.low[model[last]] = high[last], -low[last]
        models.count[model[last]] = number[last] + 1
        before, after = _scaled(known, -low_before, high_before), _scaled(known, -low, high)
        return Events(model, number, place, runs.rank, ends[place], known, before, after)

    def _step_in_window(self, events: Events, steps: Steps) -> None:
        """Events of which each model's lie in one window."""
        missing = np.isnan(events.values)
        asked = self._models.asked[events.model][:, None] >> np.arange(self.spec.features) & 1
        unclear = (missing & (asked == 1)).any(axis=1)
        waiting = np.flatnonzero(unclear)
        if len(waiting):
            # Where such a row goes depends on all rows before it, of its own model only.
            step_by_step = np.isin(events.model, events.model[unclear])
            self._judge_and_log(events[np.flatnonzero(~step_by_step)], steps)
            waiting = np.flatnonzero(step_by_step)
            while len(waiting):
                first = np.ones(len(waiting), np.bool_)
                first[1:] = events.model[waiting[1:]] != events.model[waiting[:-1]]
                self._judge_and_log(events[waiting[first]], steps)
                waiting = waiting[~first]
        else:
            self._judge_and_log(events, steps)
        full = np.flatnonzero(events.number % self.spec.window == self.spec.window - 1)
        if len(full):
            self._pivot(events.model[full], events.number[full] // self.spec.window)

    def _judge_and_log(self, events: Events, steps: Steps) -> None:
        models, spec, model = self._models, self.spec, events.model
        slot = events.number % spec.window
        to_score, to_learn = self._leaves(events)
        tree = np.arange(spec.trees)
        sums = models.sums[model[:, None], tree, to_score].sum(axis=1, dtype=np.int64)
        pivoted = events.number >= spec.window
        score = np.where(pivoted, 1 - sums / self._most, 0.0)
        models.log[model, slot] = to_learn
        models.values[model, slot] = events.values
        bits = np.where(pivoted, log2(self._most / np.where(pivoted, sums, self._most)), 0.0)
        models.bits[model, slot] = bits / STEP

        ready = models.limit[model] > 0
        center, limit = models.center[model], models.limit[model]
        severity = np.where(ready, (bits - center) / np.where(ready, limit - center, 1.0), 0.0)
        place = events.place

        def ignored(event: int) -> bool:
            actual, row = events.values[event], model[event]
            spread = deviation(models.middle[row], models.spread[row] ** 2)
            far = np.abs(np.clip(actual, -HUGE, HUGE) - models.middle[row]) / spread
            share, middle = shares(np.nan_to_num(far)), models.middle[row].copy()
            leading, band = int(np.argmax(share)), BAND * models.spread[row]
            code: Code = "UNUSUAL_COMBINATION"
            if far[leading] >= LEAST_FAR:
                code = "HIGHER_THAN_USUAL" if actual[leading] > middle[leading] else "LOWER_THAN_USUAL"
            explanation = Explanation(share, middle, 1.0, middle - band, middle + band, code, leading)
            return self._ignored(steps, int(place[event]), actual, explanation)

        judged = incidents.judge(
            *(models.incident, models.worst, model, events.number, events.end, severity, spec.quiet_period, ignored)
        )
        steps.score[place] = score
        steps.threshold[place] = np.where(ready, 1 - exp2(-limit), 0.0)
        steps.learning[place] = ~pivoted
        steps.grade[place], steps.incident[place] = grades(severity, judged.raised), judged.incident
        missing = np.isnan(events.values) | steps.imputed[place]
        sure = confidence(events.number, missing.mean(axis=1))
        steps.confidence[place] = np.where(ready, sure, 0.0)

    def _leaves(self, events: Events) -> tuple[Int64Array, Int64Array]:
        """The leaves [n, trees] by the scale before each event, and with it."""
        models, spec = self._models, self.spec
        to_score = np.empty((len(events.model), spec.trees), np.int64)
        to_learn = np.empty_like(to_score)
        asked = models.asked[events.model]
        for features in np.unique(asked):
            those = np.flatnonzero(asked == features)
            structure, columns = self._structure(int(features))
            missing = np.isnan(events.values[np.ix_(those, columns)])
            before, after = events.before[np.ix_(those, columns)], events.after[np.ix_(those, columns)]
            if missing.any():
                mass = self._mass(events.model[those], events.number[those] % spec.window)
                to_score[those] = leaves_by_mass(structure, before, missing, mass)
                to_learn[those] = leaves_by_mass(structure, after, missing, mass)
            else:
                to_score[those] = leaves(structure, before)
                to_learn[those] = leaves(structure, after)
        return to_score, to_learn

    def _structure(self, asked: int) -> tuple[Structure, Int64Array]:
        """The trees over these features, and which columns they are."""
        columns = np.flatnonzero(asked >> np.arange(self.spec.features) & 1)
        return draw_river(self.spec.seed, len(columns), self.spec.trees, self.spec.height), columns

    def _mass(self, models: Int64Array, counted: Int64Array) -> Int64Array:
        """The mass [m, trees, nodes] of the first ``counted`` rows of each model's current window."""
        spec, width = self.spec, 1 << self.spec.height
        base = (np.arange(len(models))[:, None] * spec.trees + np.arange(spec.trees)) * width
        places = base[:, None, :] + self._models.log[models]
        places = places[np.arange(spec.window) < counted[:, None]]
        mass = np.bincount(places.ravel(), minlength=len(models) * spec.trees * width)
        by_leaf = np.moveaxis(mass.reshape(len(models), spec.trees, width), -1, 0)
        return np.moveaxis(heap_order(by_leaf, spec.height), 0, -1)

    def _pivot(self, models: Int64Array, window: Int64Array) -> None:
        """The window is full: what was counted becomes the reference."""
        table, spec = self._models, self.spec
        mass = self._mass(models, np.full(len(models), spec.window))
        table.reference[models] = mass[..., -(1 << spec.height) :]
        sums = sums_of_leaves(np.moveaxis(mass, -1, 0), spec.height, STOP * spec.window)
        table.sums[models] = np.moveaxis(sums, 0, -1)
        moments = np.zeros((3, len(models), spec.features))
        distance.learn(moments[0], moments[1], moments[2], np.clip(table.values[models], -HUGE, HUGE))
        table.middle[models], table.spread[models] = moments[0], np.sqrt(moments[1])
        scored = window > 0
        models, window = models[scored], window[scored]
        if not len(models):
            return
        ordered = np.sort(table.bits[models], axis=1).astype(np.float64) * STEP
        peaks = table.peaks[models]
        rows = np.full(len(models), spec.window)
        threshold.remember_peak(peaks, window - 1, ordered[:, -1], rows, spec.window)
        table.peaks[models] = peaks
        share = np.maximum(1 / window, spec.window / (spec.window + CENTER_MEMORY))
        table.center[models] += share * (ordered[:, (spec.window - 1) // 2] - table.center[models])
        least = table.center[models] + threshold.LEAST_REACH
        table.limit[models] = np.maximum(
            threshold.threshold(peaks, self._reach, np.zeros(len(models)), threshold.PRIOR_SCALE), least
        )

    def export(self, row: int, names: Sequence[str]) -> Any:
        """Model ``row`` as a River pipeline that scores and learns alike from here on.

        ``names`` [features] are the feature names, sorted: River draws its trees by their order. Raises
        ``ValueError`` for names in another order and for a model that has seen nothing.
        """
        if list(names) != sorted(names) or len(names) != self.spec.features:
            raise ValueError("names must be sorted, one for each feature")
        models, spec = self._models, self.spec
        if not models.count[row]:
            raise ValueError("this model has seen nothing")
        _, columns = self._structure(int(models.asked[row]))
        one = np.array([row])
        return pipeline(
            spec,
            names=[names[column] for column in columns],
            low={name: float(low) for name, low in zip(names, models.low[row], strict=True) if low < np.inf},
            high={name: float(high) for name, high in zip(names, models.high[row], strict=True) if high > -np.inf},
            current=self._mass(one, models.count[one] % spec.window)[0],
            reference=heap_order(models.reference[row].astype(np.int64).T, spec.height).T,
            count=int(models.count[row]),
        )


def _scaled(values: Float64Array, low: Float64Array, high: Float64Array) -> Float64Array:
    """River's ``MinMaxScaler``: 0 where the range is empty."""
    with np.errstate(invalid="ignore", over="ignore"):
        width = high - low
        return np.where(width != 0, (values - low) / np.where(width != 0, width, 1.0), 0.0)
