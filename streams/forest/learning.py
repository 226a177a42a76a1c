"""What a model learns at the end of a chapter.

In this order, since each step uses the one before:

1. it looks back at the chapter, and rows that were severe are marked: they are not learned, unless they are the rule by
   now;
2. what is usual moves (habits.py);
3. whenever the window has been filled anew (and at the end of each early chapter) its range is fixed, its rows
   fall into the leaves, and the leaves are counted: the reference and the rows to come share one scale;
4. the chapter's highest scores join the peaks, from which thresholds follow (limits.py);
5. what came before the next row becomes what it looks like by now.
"""

from __future__ import annotations

import numpy as np

from streams.forest import habits, lasting, limits, season, threshold
from streams.forest.arrays import BoolArray, Float64Array, Int64Array, UInt8Array, UInt16Array, UInt64Array
from streams.forest.cells import cell_of, leaves_of
from streams.forest.chapters import Chapters
from streams.forest.derive import LAGS, SPAN, derive
from streams.forest.distance import least_spread, spread_of_constant
from streams.forest.habits import Chapter
from streams.forest.log2 import STEP
from streams.forest.models import (
    BASE,
    CENTER,
    CHANGE,
    GAIN,
    GAP,
    LEVEL,
    MEAN,
    TREE_COLUMNS,
    VALUE,
    Models,
)
from streams.forest.reference import leaf_codes
from streams.forest.scoring import far_bits, loudest, scores, scores_of
from streams.forest.season import Day
from streams.forest.spec import ForestSpec

MARGIN = 0.1
"""The range of the reference window becomes [0.1, 0.9]."""

MODELS_AT_ONCE = 32
"""So many at a time, temporary arrays stay in the processor's cache."""

LEAST_ROWS = 16
"""A reference of fewer rows is not worth having: the one before stays."""

FAR = 64.0
"""Ranges of the window between it and its origin at which the origin moves."""


class Learning:
    """Learns chapters. ``table`` is the bit table of the trees (cells.py)."""

    def __init__(self, spec: ForestSpec, table: UInt64Array) -> None:
        self._spec = spec
        self._table = table
        self._chapters = Chapters(spec.window)
        self._day = Day.of(spec.interval, spec.seasonality)
        self._reach = threshold.reach(spec.interval, spec.sensitivity)

    def learn(self, models: Models, rows: Int64Array, counts: Int64Array) -> None:
        """Let models, that have just seen ``counts`` events, learn the chapter that ended with them."""
        for start in range(0, len(rows), MODELS_AT_ONCE):
            part = slice(start, start + MODELS_AT_ONCE)
            self._learn(models, rows[part], counts[part])

    def _learn(self, models: Models, rows: Int64Array, counts: Int64Array) -> None:
        begin = models.begin[rows]
        models.begin[rows], models.end[rows] = counts, counts + self._chapters.length_after(counts)
        earlier = models.earlier[rows]
        # A chapter may be shorter than what is kept of it: the fourth one of a window of 130 has 2 rows.
        known = np.concatenate([earlier, lasting.units(models.scores[rows]).astype(np.uint8)], axis=1)
        last = (counts - begin)[:, None] + np.arange(lasting.ROWS)
        models.earlier[rows] = np.take_along_axis(known, last, axis=1)
        enough = counts - begin + np.minimum(begin, SPAN) >= LEAST_ROWS
        short, long = rows[~enough], np.flatnonzero(enough)
        models.runs[short, 1] = models.runs[short, 0]
        if not len(long):
            return
        rows, counts, begin, earlier = rows[long], counts[long], begin[long], earlier[long]
        bits = self._look_back(models, rows, begin, counts)
        own = scores_of(models.scores[rows].astype(np.float64) * STEP, bits)
        self._protect(models, rows, begin, counts, own)
        columns = self._learn_habits(models, rows, begin, counts)
        refilled = np.flatnonzero((counts < self._spec.window) | (counts % self._spec.window == 0))
        if len(refilled):
            self._refer(models, rows[refilled])
        first = np.flatnonzero(models.chapters[rows] == 0)
        if len(first):
            own[first] = self._own_scores(models, rows[first], columns[first]) + limits.FLATTERY
        limits.learn(models, rows, begin, counts, own, earlier, self._reach)
        self._rewind(models, rows, counts)
        if len(refilled):
            self._move_origin(models, rows[refilled])

    def _move_origin(self, models: Models, rows: Int64Array) -> None:
        """Bring the origin of models that drifted away from it back among their values.

        Far from its origin, a float32 can't hold the small changes of a counter that has become large.
        """
        window = models.window[rows].astype(np.float64)
        low, high = np.fmin.reduce(window, axis=1), np.fmax.reduce(window, axis=1)
        middle = (low + high) / 2
        far = np.abs(middle) > FAR * (high - low)
        shift = np.where(far, middle, 0.0)
        moved = np.flatnonzero(far.any(axis=1))
        rows, shift = rows[moved], shift[moved]
        models.origin[rows] += shift
        models.window[rows] = window[moved] - shift[:, None]

    def _look_back(self, models: Models, rows: Int64Array, begin: Int64Array, counts: Int64Array) -> Float64Array:
        """The bits [m, n, FAMILIES] by which the chapter's rows are far, as the models see them now."""
        self._chapter = Chapter(models, rows, begin, counts, self._chapters.length)
        self._seen = habits.look_back(models, self._chapter, self._day)
        columns = self._seen.columns
        m, n = columns.shape[:2]
        bits = far_bits(columns.reshape(m * n, *columns.shape[2:]), models.frame[np.repeat(rows, n)])
        return bits.reshape(m, n, -1)

    def _protect(
        self, models: Models, rows: Int64Array, begin: Int64Array, counts: Int64Array, own: Float64Array
    ) -> None:
        """Mark the chapter's severe rows, by their scores ``own`` [m, n, FAMILIES]."""
        m, n = own.shape[:2]
        severity = loudest(limits.severities(models, np.repeat(rows, n), own.reshape(m * n, -1))).reshape(m, n)
        severe = (severity >= threshold.PROTECTED) & np.isfinite(models.limits[rows, :1])
        if not severe.any():
            return
        number = begin[:, None] + np.arange(self._chapters.length)
        present = number < counts[:, None]
        severe &= present
        severe &= (severe.sum(axis=1) < threshold.USUAL * present.sum(axis=1))[:, None]
        model, event = np.nonzero(severe)
        models.marks[rows[model], number[model, event] % self._spec.window] |= season.PROTECTED

    def _learn_habits(self, models: Models, rows: Int64Array, begin: Int64Array, counts: Int64Array) -> Float64Array:
        """See ``habits.learn``, of the chapter that was looked back at last."""
        chapter = self._chapter
        chapter.marks = models.marks[rows[:, None], chapter.number % self._spec.window]
        return habits.learn(models, chapter, self._seen, self._day)

    def _refer(self, models: Models, rows: Int64Array) -> None:
        """Fix the scale by the window and count the leaves into which its rows fall."""
        marks = models.marks[rows, SPAN:]
        values = models.window[rows] + models.origin[rows][:, None]
        columns = self._see(models, rows, values, marks)
        low, high = np.fmin.reduce(columns, axis=1), np.fmax.reduce(columns, axis=1)
        width = high - low
        size = np.fmax(np.abs(low), np.abs(high))[..., :1]
        width = np.where(np.isnan(width) | (width > least_spread(size)), width, spread_of_constant(size))
        # Of a column that nobody has seen yet nothing can be odd: everything falls into one cell.
        unseen = np.isnan(width)
        gain = np.where(unseen, 0.0, (1 - 2 * MARGIN) / width)
        base = np.where(unseen, 0.0, low - MARGIN / (1 - 2 * MARGIN) * width)
        neutral = cell_of((models.frame[rows, CENTER, :, :TREE_COLUMNS] - base) * gain)
        models.scale[rows, BASE], models.scale[rows, GAIN], models.neutral[rows] = base, gain, neutral
        models.codes[rows] = leaf_codes(*self._fall(columns, base, gain, neutral), self._spec.height)

    def _see(self, models: Models, rows: Int64Array, values: Float64Array, marks: UInt16Array) -> Float64Array:
        """What the trees see of ``values`` [m, SPAN + n, d] but the first SPAN: [m, n, d, TREE_COLUMNS].

        Protected rows, by their ``marks`` [m, n], are seen by nobody; what follows them still is what it was.
        """
        own = values[:, SPAN:]
        before = np.stack([values[:, SPAN - lag : -lag] for lag in range(1, LAGS + 1)], axis=2)
        columns = np.empty((*own.shape, TREE_COLUMNS))
        columns[..., VALUE] = own
        columns[..., CHANGE], columns[..., MEAN] = derive(own, before)
        m, n = marks.shape
        usual = season.usual(models.levels, np.repeat(rows, n), marks.reshape(-1), self._day)
        level = models.known[rows, None, LEVEL]
        columns[..., GAP] = own - (level + (usual if isinstance(usual, float) else usual.reshape(m, n, -1)))
        columns[marks >= season.PROTECTED] = np.nan
        return columns

    def _fall(
        self, columns: Float64Array, base: Float64Array, gain: Float64Array, neutral: Int64Array
    ) -> tuple[UInt8Array, BoolArray]:
        """The leaf [m, n, trees] of each row of ``columns`` [m, n, d, TREE_COLUMNS], and which rows say anything."""
        m, n = columns.shape[:2]
        cells = cell_of((columns - base[:, None]) * gain[:, None])
        unknown = np.isnan(columns)
        if unknown.any():
            cells = np.where(unknown, neutral[:, None], cells)
        known: BoolArray = np.logical_or.reduce(~unknown[..., VALUE], axis=2)
        return leaves_of(self._table, cells.reshape(m * n, -1)).reshape(m, n, -1), known

    def _own_scores(self, models: Models, rows: Int64Array, columns: Float64Array) -> Float64Array:
        """The scores [m, n, FAMILIES] of the rows of a chapter that has just been learned."""
        m, n = columns.shape[:2]
        scale, neutral = models.scale[rows], models.neutral[rows].astype(np.int64)
        leaves, _ = self._fall(columns[..., :TREE_COLUMNS], scale[:, BASE], scale[:, GAIN], neutral)
        row = np.repeat(rows, n)
        columns = columns.reshape(m * n, *columns.shape[2:])
        own = scores(models.codes, row, leaves.reshape(m * n, -1), columns, models.frame[row], self._spec.height)
        return own.reshape(m, n, -1)

    def _rewind(self, models: Models, rows: Int64Array, counts: Int64Array) -> None:
        """Let what came before the next row look as models see it now: then the next forecast is of one piece."""
        past = habits.warm_up(models, rows, counts, self._day)
        models.gaps[rows] = past.gaps
        models.residual_units[rows], models.gap_units[rows] = past.residual_units, past.gap_units
        models.runs[rows, 1] = models.runs[rows, 0]
