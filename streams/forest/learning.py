"""What a model learns at the end of a chapter: moments, scale, how crowded the leaves are, its threshold.

In this order, since each step uses the one before:

1. rows that were severe are taken out of the window, unless they are the rule by now;
2. means and variances move by the chapter's rows;
3. whenever the window has been filled anew (and at the end of each early chapter) its range is fixed, its rows
   fall into the leaves, and the leaves are counted: the reference and the rows to come share one scale;
4. the chapter's highest score and its highest mean of some in a row join the peaks, from which thresholds follow;
5. the hours of the day take the chapter in.
"""

from __future__ import annotations

import numpy as np

from streams.forest import distance, lasting, season, threshold
from streams.forest.arrays import BoolArray, Float64Array, Int64Array, UInt8Array, UInt64Array
from streams.forest.cells import cell_of, leaves_of
from streams.forest.chapters import Chapters
from streams.forest.derive import LAGS, SPAN, derive
from streams.forest.distance import least_spread, spread_of_constant
from streams.forest.log2 import STEP
from streams.forest.models import BASE, CENTER, CLOSENESS, FARTHEST, GAIN, GAP, Models, columns_of
from streams.forest.reference import leaf_codes
from streams.forest.scoring import score
from streams.forest.spec import ForestSpec

MARGIN = 0.1
"""The range of the reference window becomes [0.1, 0.9]."""

MODELS_AT_ONCE = 32
"""So many at a time, temporary arrays stay in the processor's cache."""

LEAST_ROWS = 16
"""A reference of fewer rows is not worth having: the one before stays."""

FAR = 64.0
"""Ranges of the window between it and its origin at which the origin moves."""

FLATTERY = 0.4
"""Bits by which a window scores too low when it is scored by what it has just taught: without them, young models
alarm where nothing is."""

CENTER_MEMORY = 1440.0
"""Rows after which the usual score has moved half way."""


class Learning:
    """Learns chapters. ``table`` is the bit table of the trees (cells.py)."""

    def __init__(self, spec: ForestSpec, table: UInt64Array) -> None:
        self._spec = spec
        self._table = table
        self._columns = columns_of(spec)
        self._chapters = Chapters(spec.window)
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
        self._protect(models, rows, begin, counts)
        enough = counts - begin + np.minimum(begin, SPAN) >= LEAST_ROWS
        if not enough.all():
            rows, counts, begin, earlier = rows[enough], counts[enough], begin[enough], earlier[enough]
        if not len(rows):
            return
        self._take_in(models, rows, begin, counts)
        refilled = np.flatnonzero((counts < self._spec.window) | (counts % self._spec.window == 0))
        if len(refilled):
            self._refer(models, rows[refilled])
        self._adapt(models, rows, counts, begin, earlier)
        if self._spec.seasonality:
            self._learn_hours(models, rows, begin, counts)
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
        models.levels[rows] = np.clip(models.levels[rows] - shift[:, None], -FARTHEST, FARTHEST)

    def _protect(self, models: Models, rows: Int64Array, begin: Int64Array, counts: Int64Array) -> None:
        """Take the chapter's severe rows out of the window."""
        center, limit = models.limits[rows].T
        from_here = center + threshold.PROTECTED * (limit - center)
        severe = models.scores[rows] * STEP >= from_here[:, None]
        if not severe.any():
            return
        number = begin[:, None] + np.arange(self._chapters.length)
        present = number < counts[:, None]
        severe &= present
        severe &= (severe.sum(axis=1) < threshold.USUAL * present.sum(axis=1))[:, None]
        model, event = np.nonzero(severe)
        models.marks[rows[model], number[model, event] % self._spec.window] |= season.PROTECTED

    def _chapter(
        self, models: Models, rows: Int64Array, begin: Int64Array, counts: Int64Array
    ) -> tuple[Float64Array, UInt8Array]:
        """The chapter's values [m, SPAN + length, d], SPAN from before it in front, and the hours of its own.

        NaN where a chapter is shorter, or has nothing before it.
        """
        number = begin[:, None] + np.arange(-SPAN, self._chapters.length)
        slot = number % self._spec.window
        values = models.window[rows[:, None], slot] + models.origin[rows][:, None]
        values[(number < 0) | (number >= counts[:, None])] = np.nan
        return values, models.marks[rows[:, None], slot[:, SPAN:]]

    def _see(self, values: Float64Array, marks: UInt8Array) -> Float64Array:
        """What the trees see of ``values`` [m, SPAN + n, d] but the first SPAN: [m, n, d, k], gaps still empty.

        Protected rows, by their ``marks`` [m, n], are seen by nobody; what follows them still is what it was.
        """
        own = values[:, SPAN:]
        before = np.stack([values[:, SPAN - lag : -lag] for lag in range(1, LAGS + 1)], axis=2)
        columns = np.empty((*own.shape, self._columns))
        columns[..., 0] = own
        columns[..., 1], columns[..., 2] = derive(own, before)
        columns[marks >= season.PROTECTED] = np.nan
        return columns

    def _see_gaps(self, models: Models, rows: Int64Array, columns: Float64Array, marks: UInt8Array) -> None:
        hour = marks % season.PROTECTED
        model = np.arange(len(rows))[:, None]
        level = models.levels[rows][model, hour] + models.origin[rows][:, None]
        weight = models.hour_weights[rows][model, hour]
        mean = models.frame[rows, CENTER, :, 0]
        columns[..., GAP] = columns[..., 0] - season.usual(level, weight, mean[:, None])

    def _take_in(self, models: Models, rows: Int64Array, begin: Int64Array, counts: Int64Array) -> None:
        """Move the moments by the chapter's rows."""
        chapter, marks = self._chapter(models, rows, begin, counts)
        columns = self._see(chapter, marks)
        mean, variance, weight = models.frame[rows, CENTER], models.variance[rows], models.weight[rows]
        distance.learn(mean[..., :GAP], variance[..., :GAP], weight[..., :GAP], columns[..., :GAP])
        models.frame[rows, CENTER] = mean
        if self._spec.seasonality:
            self._see_gaps(models, rows, columns, marks)
            distance.learn(mean[..., GAP], variance[..., GAP], weight[..., GAP], columns[..., GAP])
            models.frame[rows, CENTER] = mean
        models.variance[rows], models.weight[rows] = variance, weight
        models.frame[rows, CLOSENESS] = distance.closeness(mean, variance, weight)

    def _refer(self, models: Models, rows: Int64Array) -> None:
        """Fix the scale by the window and count the leaves into which its rows fall."""
        marks = models.marks[rows, SPAN:]
        columns = self._see(models.window[rows] + models.origin[rows][:, None], marks)
        if self._spec.seasonality:
            self._see_gaps(models, rows, columns, marks)
        low, high = np.fmin.reduce(columns, axis=1), np.fmax.reduce(columns, axis=1)
        width = high - low
        size = np.fmax(np.abs(low), np.abs(high))[..., :1]
        width = np.where(np.isnan(width) | (width > least_spread(size)), width, spread_of_constant(size))
        # Of a column that nobody has seen yet nothing can be odd: everything falls into one cell.
        unseen = np.isnan(width)
        gain = np.where(unseen, 0.0, (1 - 2 * MARGIN) / width)
        base = np.where(unseen, 0.0, low - MARGIN / (1 - 2 * MARGIN) * width)
        neutral = cell_of((models.frame[rows, CENTER] - base) * gain)
        models.frame[rows, BASE], models.frame[rows, GAIN], models.neutral[rows] = base, gain, neutral
        models.codes[rows] = leaf_codes(*self._fall(columns, base, gain, neutral), self._spec.height)

    def _fall(
        self, columns: Float64Array, base: Float64Array, gain: Float64Array, neutral: Int64Array
    ) -> tuple[UInt8Array, BoolArray]:
        """The leaf [m, n, trees] of each row of ``columns`` [m, n, d, k], and which rows say anything."""
        m, n = columns.shape[:2]
        cells = cell_of((columns - base[:, None]) * gain[:, None])
        unknown = np.isnan(columns)
        if unknown.any():
            cells = np.where(unknown, neutral[:, None], cells)
        known: BoolArray = np.logical_or.reduce(~unknown[..., 0], axis=2)
        return leaves_of(self._table, cells.reshape(m * n, -1)).reshape(m, n, -1), known

    def _adapt(
        self, models: Models, rows: Int64Array, counts: Int64Array, begin: Int64Array, earlier: UInt8Array
    ) -> None:
        """Move the usual score and the thresholds by the chapter's scores, which followed ``earlier`` ones.

        A first chapter has none: it is scored by what it has just taught.
        """
        event = np.arange(self._chapters.length)
        present = begin[:, None] + event < counts[:, None]
        scores = np.where(present, models.scores[rows] * STEP, np.nan)
        means = np.where(present, lasting.of_chapter(earlier, models.scores[rows]), np.nan)
        first = np.flatnonzero(models.chapters[rows] == 0)
        if len(first):
            scores[first] = means[first] = self._own_scores(models, rows[first]) + FLATTERY
        count = (~np.isnan(scores)).sum(axis=1)
        ordered = np.sort(scores, axis=1)  # NaN comes last.
        model = np.arange(len(rows))
        # Those of single scores and those of means at once: it is calling NumPy that takes time here.
        chapters = models.chapters[rows]
        peaks = np.concatenate([models.peaks[rows], models.lasting_peaks[rows]])
        highest = np.concatenate([ordered[model, count - 1], np.fmax.reduce(means, axis=1)])
        threshold.remember_peak(peaks, np.concatenate([chapters, chapters]), highest, np.tile(count, 2), len(event))
        models.peaks[rows], models.lasting_peaks[rows] = peaks[: len(rows)], peaks[len(rows) :]
        models.chapters[rows] = chapters + 1
        length = counts - begin
        share = np.maximum(length / counts, length / (length + CENTER_MEMORY))
        center = models.limits[rows, 0]
        center += share * (ordered[model, (count - 1) // 2] - center)
        tail = models.tail[rows] = threshold.learn_tail(models.tail[rows], chapters, ordered, count)
        limits = threshold.threshold(peaks, self._reach, np.concatenate([tail, tail])).reshape(2, -1)
        limits += threshold.allowance(counts)
        models.limits[rows, 0] = center
        models.limits[rows, 1], models.lasting_limit[rows] = np.maximum(limits, center + threshold.LEAST_REACH)

    def _learn_hours(self, models: Models, rows: Int64Array, begin: Int64Array, counts: Int64Array) -> None:
        """Move the means of the hours by the chapter's rows."""
        number = begin[:, None] + np.arange(self._chapters.length)
        slot = number % self._spec.window
        values = models.window[rows[:, None], slot].astype(np.float64)
        marks = models.marks[rows[:, None], slot]
        values[(number >= counts[:, None]) | (marks >= season.PROTECTED)] = np.nan
        levels, weights = models.levels[rows], models.hour_weights[rows]
        season.learn(levels, weights, marks % season.PROTECTED, values)
        models.levels[rows], models.hour_weights[rows] = levels, weights

    def _own_scores(self, models: Models, rows: Int64Array) -> Float64Array:
        """The scores [m, length] of the window's own first rows; NaN for those without a past of SPAN rows."""
        values = models.window[rows, : self._chapters.length] + models.origin[rows][:, None]
        marks = models.marks[rows, SPAN : self._chapters.length]
        columns = self._see(values, marks)
        if self._spec.seasonality:
            self._see_gaps(models, rows, columns, marks)
        m, n = columns.shape[:2]
        frame = models.frame[rows]
        neutral = models.neutral[rows].astype(np.int64)
        leaves, known = self._fall(columns, frame[:, BASE], frame[:, GAIN], neutral)
        row = np.repeat(rows, n)
        columns = columns.reshape(m * n, *columns.shape[2:])
        own = score(models.codes, row, leaves.reshape(m * n, -1), columns, models.frame[row], self._spec.height)
        scores = np.full((m, self._chapters.length), np.nan)
        scores[:, SPAN:] = np.where(known, own.reshape(m, n), np.nan)
        return scores
