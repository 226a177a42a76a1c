"""The default model on the compiled kernel: the same bank, its hot parts in C (_kernel.c).

Compiled is what takes time and seldom changes: what the trees see of a row, the leaves, the score, the window, and at
the end of a chapter the moments, the reference and the hours. Thresholds, alarms, grades and confidence are NumPy's
in both: they are cheap, and what one would want to try out.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from streams.forest import cells, derive, distance, lasting, learning, reference, scoring, season
from streams.forest.arrays import Float64Array, Int64Array, UInt64Array
from streams.forest.derive import LAGS
from streams.forest.engine import DefaultBank, Events
from streams.forest.kernel import compiled
from streams.forest.learning import Learning
from streams.forest.log2 import MANTISSA, STEP
from streams.forest.models import FARTHEST, Models
from streams.forest.spec import ForestSpec

NO_HOURS = np.empty(0, np.uint8)


def configured() -> Any:
    """The compiled module, with the tables and constants of the NumPy files. Raises ``ImportError``."""
    module = compiled()
    module.configure(
        MANTISSA,
        reference.SUMS,
        reference.CODES,
        (
            *(STEP, cells.CELLS, cells.LOW, cells.HIGH, scoring.TREE_SHARE, scoring.HIGHEST),
            *(learning.MARGIN, reference.STOP, distance.MEMORY, season.LEANING, season.MEMORY, FARTHEST),
            *(lasting.UNIT / lasting.ROWS, derive.LEAST_KNOWN, distance.LEAST_ROWS, season.PROTECTED),
            lasting.STEPS,
        ),
    )
    return module


def arrays_of(models: Models) -> tuple[Any, ...]:
    """The arrays that the kernel works on, in the order in which it takes them."""
    return (
        *(models.recent, models.origin, models.window, models.marks, models.scores, models.earlier, models.lasting),
        *(models.levels, models.hour_weights, models.frame, models.neutral, models.variance, models.weight),
        *(models.codes, models.limits, models.begin, models.count),
    )


class CompiledLearning(Learning):
    """See ``Learning``."""

    def __init__(self, spec: ForestSpec, table: UInt64Array) -> None:
        super().__init__(spec, table)
        self._kernel = configured()

    def _take_in(self, models: Models, rows: Int64Array, begin: Int64Array, counts: Int64Array) -> None:
        self._kernel.take_in(arrays_of(models), rows, begin, counts)

    def _refer(self, models: Models, rows: Int64Array) -> None:
        self._kernel.refer(arrays_of(models), self._table, rows)

    def _learn_hours(self, models: Models, rows: Int64Array, begin: Int64Array, counts: Int64Array) -> None:
        self._kernel.learn_hours(arrays_of(models), rows, begin, counts)


class CompiledBank(DefaultBank):
    """See ``DefaultBank``."""

    learning = CompiledLearning

    def __init__(self, spec: ForestSpec, capacity: int) -> None:
        self._kernel = configured()
        super().__init__(spec, capacity)

    def _derive(self, rows: Int64Array, known: Float64Array) -> tuple[Int64Array, Float64Array, Float64Array]:
        n, d = known.shape
        number = np.empty(n, np.int64)
        before, columns = np.empty((n, LAGS, d)), np.empty((n, d, self._columns))
        self._kernel.derive(arrays_of(self._models), rows, known, number, before, columns)
        return number, before, columns

    def _score(self, events: Events) -> Float64Array:
        scores = np.empty(len(events.model))
        models = arrays_of(self._models)
        self._kernel.score(models, self._table, events.model, events.hour, events.columns, scores)
        return scores

    def _score_columns(self, model: Int64Array, columns: Float64Array, frame: Float64Array) -> Float64Array:
        scores = np.empty(len(model))
        self._kernel.score(arrays_of(self._models), self._table, model, NO_HOURS, columns, scores)
        return scores

    def _remember(self, events: Events, scores: Float64Array) -> None:
        models, own = arrays_of(self._models), scores[events.place]
        self._kernel.remember(models, events.model, events.number, events.hour, events.columns, own)

    def _lasting(self, events: Events) -> Float64Array:
        means = np.empty(len(events.model))
        self._kernel.last(arrays_of(self._models), events.model, events.number, means)
        return means
