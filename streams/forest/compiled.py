"""The default model on the compiled kernel: the same bank, its hot parts in C (_kernel.c).

Compiled is what takes time and seldom changes: what is seen of a row, the leaves, the score, the window, and at the end
of a chapter the look back at it, the habits and the reference. Thresholds, alarms, grades and confidence are NumPy's in
both: they are cheap, and what one would want to try out.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from streams.forest import (
    cells,
    derive,
    distance,
    forecast,
    habits,
    lasting,
    learning,
    reference,
    scoring,
    season,
    sight,
)
from streams.forest.arrays import Float64Array, Int64Array, UInt64Array
from streams.forest.engine import DefaultBank, Events
from streams.forest.kernel import compiled
from streams.forest.learning import Learning
from streams.forest.log2 import MANTISSA, STEP
from streams.forest.models import COLUMNS, FAMILIES, FARTHEST, Models
from streams.forest.season import Day
from streams.forest.sight import Seen
from streams.forest.spec import ForestSpec

NUMBERS = (
    *(STEP, cells.CELLS, cells.LOW, cells.HIGH, scoring.TREE_SHARE, scoring.HIGHEST, learning.MARGIN, reference.STOP),
    *(distance.MEMORY, FARTHEST, lasting.UNIT / lasting.ROWS, sight.UNIT, sight.MOST_UNITS, sight.MOST_RESIDUAL),
    *(sight.RUN_BITS, season.LEANING, season.TYPE_LEANING, season.HOUR_LEANING, season.MEMORY, season.HOUR_MEMORY),
    *(season.MOST_WEIGHT, forecast.RIDGE, forecast.MEMORY, forecast.CUT_OFF, habits.NORMAL_SPREAD, habits.MEMORY),
    *(
        habits.LEVEL_MEMORY,
        habits.MOST_SPREADS,
        habits.MOST_SPREAD,
        habits.RARE,
        distance.LEAST_DEVIATION,
        distance.MOST_SPREADS,
    ),
)
WHOLE = (derive.LEAST_KNOWN, distance.LEAST_ROWS, lasting.STEPS, sight.WARM_UP)


def configured() -> Any:
    """The compiled module, with the tables and constants of the NumPy files. Raises ``ImportError``."""
    module = compiled()
    module.configure(MANTISSA, reference.SUMS, reference.CODES, NUMBERS, WHOLE)
    return module


def arrays_of(models: Models, day: Day) -> tuple[Any, ...]:
    """The arrays that the kernel works on, in the order in which it takes them."""
    return (
        *(models.recent, models.gaps, models.residual_units, models.gap_units, models.runs, models.origin),
        *(models.window, models.marks, models.scores, models.earlier, models.lasting, models.known, models.sums),
        *(models.levels, models.level_weights, models.hours, models.hour_weights, models.scale, models.frame),
        *(models.neutral, models.variance, models.weight, models.codes, models.begin),
        np.array([day.slots, day.bins, day.halves]),
    )


class CompiledLearning(Learning):
    """See ``Learning``."""

    def __init__(self, spec: ForestSpec, table: UInt64Array) -> None:
        super().__init__(spec, table)
        self._kernel = configured()

    def _look_back(self, models: Models, rows: Int64Array, begin: Int64Array, counts: Int64Array) -> Float64Array:
        bits = np.zeros((len(rows), self._chapters.length, len(FAMILIES)))
        self._kernel.look_back(arrays_of(models, self._day), rows, begin, counts, bits)
        return bits

    def _learn_habits(self, models: Models, rows: Int64Array, begin: Int64Array, counts: Int64Array) -> Float64Array:
        columns = np.full((len(rows), self._chapters.length, self._spec.features, COLUMNS), np.nan)
        self._kernel.learn(arrays_of(models, self._day), rows, begin, counts, columns)
        return columns

    def _refer(self, models: Models, rows: Int64Array) -> None:
        self._kernel.refer(arrays_of(models, self._day), self._table, rows)

    def _rewind(self, models: Models, rows: Int64Array, counts: Int64Array) -> None:
        self._kernel.rewind(arrays_of(models, self._day), rows, counts)


class CompiledBank(DefaultBank):
    """See ``DefaultBank``."""

    learning = CompiledLearning

    def __init__(self, spec: ForestSpec, capacity: int) -> None:
        self._kernel = configured()
        super().__init__(spec, capacity)

    def _see(self, events: Events) -> Seen:
        n, d = events.values.shape
        columns, (usual, expected, spread) = np.empty((n, d, COLUMNS)), np.empty((3, n, d))
        models = arrays_of(self._models, self._day)
        self._kernel.see(models, events.model, events.values, events.mark, columns, usual, expected, spread)
        return Seen(columns, usual, expected, NO_GAPS, spread)

    def _score(self, model: Int64Array, columns: Float64Array) -> Float64Array:
        scores = np.empty((len(model), len(FAMILIES)))
        self._kernel.score(arrays_of(self._models, self._day), self._table, model, columns, scores)
        return scores

    def _remember(self, events: Events, scores: Float64Array) -> None:
        models = arrays_of(self._models, self._day)
        self._kernel.remember(models, events.model, events.number, events.mark, events.values, scores)

    def _lasting(self, events: Events) -> Float64Array:
        means = np.empty(len(events.model))
        self._kernel.last(arrays_of(self._models, self._day), events.model, events.number, means)
        return means


NO_GAPS = np.empty((0, forecast.LAGS, 0))
"""What a forecast was made from is of interest to learning only."""
