"""What a model learns at the end of a chapter: moments, scale, how crowded the leaves are, its threshold.

In this order, since each step uses the one before:

1. rows that were severe are taken out of the window, unless they are the rule by now;
2. means and variances move by the chapter's rows;
3. the range of the reference window is fixed, its rows fall into the leaves, the leaves are counted: trees and
   rows to come share one scale;
4. the chapter's highest score joins the peaks, from which the threshold follows;
5. the hours of the day take the chapter in.
"""

from __future__ import annotations

import numpy as np

from streams.forest import distance, season, threshold
from streams.forest.arrays import BoolArray, Float64Array, Int64Array, UInt8Array, UInt64Array
from streams.forest.cells import cell_of, leaves_of
from streams.forest.chapters import Chapters
from streams.forest.derive import LAGS, SPAN, derive
from streams.forest.distance import least_spread, spread_of_constant
from streams.forest.log2 import STEP
from streams.forest.models import BASE, CENTER, CLOSENESS, GAIN, GAP, Models, columns_of
from streams.forest.reference import leaf_codes
from streams.forest.scoring import score
from streams.forest.spec import ForestSpec

MARGIN = 0.1
"""The range of the reference window becomes [0.1, 0.9]."""

MODELS_AT_ONCE = 32
"""So many at a time, temporary arrays stay in the processor's cache."""

LEAST_ROWS = 16
"""A reference of fewer rows is not worth having: the one before stays."""

CENTER_MEMORY = 1440.0
"""Rows after which the usual score has moved half way."""


class Learning:
    """Learns chapters. ``table`` is the bit table of the trees (cells.py)."""

    def __init__(self, spec: ForestSpec, table: UInt64Array) -> None:
        self._spec = spec
        self._table = table
        self._columns = columns_of(spec)
        self._chapters = Chapters(spec.window)

    def learn(self, models: Models, rows: Int64Array, counts: Int64Array) -> None:
        """Let models, that have just seen ``counts`` events, learn the chapter that ended with them."""
        for start in range(0, len(rows), MODELS_AT_ONCE):
            part = slice(start, start + MODELS_AT_ONCE)
            self._learn(models, rows[part], counts[part])

    def _learn(self, models: Models, rows: Int64Array, counts: Int64Array) -> None:
        size = self._spec.window
        begin = models.begin[rows]
        models.begin[rows], models.end[rows] = counts, counts + self._chapters.length_after(counts)
        self._protect(models, rows, begin, counts)

        # In the order of time: the oldest row has the slot after the newest, or slot 0 while the window fills.
        oldest = np.where(counts > size, counts % size, 0)
        slots = (oldest[:, None] + np.arange(size)) % size
        values = models.window[rows[:, None], slots] + models.origin[rows][:, None]
        newest = np.minimum(counts, size)[:, None]
        kept: BoolArray = np.logical_or.reduce(~np.isnan(values), axis=2)
        kept[:, :SPAN] = False  # Their changes and means would need rows from before the window.
        fresh = kept & (np.arange(size) >= newest - (counts - begin)[:, None])

        enough = kept.sum(axis=1) >= LEAST_ROWS
        if not enough.all():
            rows, counts, begin, slots = rows[enough], counts[enough], begin[enough], slots[enough]
            values, kept, fresh = values[enough], kept[enough], fresh[enough]
        if not len(rows):
            return
        hours = models.hours[rows[:, None], slots] if self._spec.seasonality else None
        columns = self._take_in(models, rows, values, fresh, hours)
        leaves = self._refer(models, rows, columns, kept)
        self._adapt(models, rows, counts, begin, columns, leaves, fresh)
        if hours is not None:
            levels, weights = models.levels[rows], models.hour_weights[rows]
            season.learn(levels, weights, hours, values, fresh)
            models.levels[rows], models.hour_weights[rows] = levels, weights

    def _protect(self, models: Models, rows: Int64Array, begin: Int64Array, counts: Int64Array) -> None:
        """Take the chapter's severe rows out of the window."""
        number = begin[:, None] + np.arange(self._chapters.length)
        present = number < counts[:, None]
        center, limit = models.limits[rows].T
        from_here = center + threshold.PROTECTED * (limit - center)
        severe = present & (models.scores[rows] * STEP >= from_here[:, None])
        severe &= (severe.sum(axis=1) < threshold.USUAL * present.sum(axis=1))[:, None]
        model, event = np.nonzero(severe)
        models.window[rows[model], number[model, event] % self._spec.window] = np.nan

    def _take_in(
        self,
        models: Models,
        rows: Int64Array,
        values: Float64Array,
        fresh: BoolArray,
        hours: UInt8Array | None,
    ) -> Float64Array:
        """Move the moments by the fresh rows; give what the trees see of all rows [m, w, d, k]."""
        before = np.full((*values.shape[:2], LAGS, values.shape[2]), np.nan)
        for lag in range(1, LAGS + 1):
            before[:, lag:, lag - 1] = values[:, :-lag]
        columns = np.empty((*values.shape, self._columns))
        columns[..., 0] = values
        columns[..., 1:GAP] = np.stack(derive(values, before), axis=-1)
        mean, variance, weight = models.frame[rows, CENTER], models.variance[rows], models.weight[rows]
        chapter = np.where(fresh[:, :, None, None], columns, np.nan)
        distance.learn(mean[..., :GAP], variance[..., :GAP], weight[..., :GAP], chapter[..., :GAP])
        if hours is not None:
            model = np.arange(len(rows))[:, None]
            level, backing = models.levels[rows][model, hours], models.hour_weights[rows][model, hours]
            columns[..., GAP] = values - season.usual(level, backing, mean[:, None, :, 0])
            chapter = np.where(fresh[:, :, None], columns[..., GAP], np.nan)
            distance.learn(mean[..., GAP], variance[..., GAP], weight[..., GAP], chapter)
        models.variance[rows], models.weight[rows] = variance, weight
        models.frame[rows, CENTER] = mean
        models.frame[rows, CLOSENESS] = distance.closeness(mean, variance, weight)
        return columns

    def _refer(self, models: Models, rows: Int64Array, columns: Float64Array, kept: BoolArray) -> UInt8Array:
        """Fix the scale by the kept rows and count the leaves into which they fall [m, w, trees]."""
        usable = np.where(kept[:, :, None, None], columns, np.nan)
        low, high = np.fmin.reduce(usable, axis=1), np.fmax.reduce(usable, axis=1)
        width = high - low
        size = np.fmax(np.abs(low), np.abs(high))[..., :1]
        width = np.where(np.isnan(width) | (width > least_spread(size)), width, spread_of_constant(size))
        gain = (1 - 2 * MARGIN) / width
        base = low - MARGIN / gain
        # Of a column that nobody has seen yet nothing can be odd: everything falls into one cell.
        unseen = np.isnan(width)
        base, gain = np.where(unseen, 0.0, base), np.where(unseen, 0.0, gain)
        middle = _middle(usable)
        neutral = cell_of((np.where(unseen, 0.0, middle) - base) * gain)
        models.frame[rows, BASE], models.frame[rows, GAIN], models.neutral[rows] = base, gain, neutral
        unknown = np.isnan(columns)
        cells = cell_of((columns - base[:, None]) * gain[:, None])
        cells = np.where(unknown, neutral[:, None], cells)
        m, size_of_window = kept.shape
        leaves = leaves_of(self._table, cells.reshape(m * size_of_window, -1)).reshape(m, size_of_window, -1)
        models.codes[rows] = leaf_codes(leaves, kept, self._spec.height)
        return leaves

    def _adapt(
        self,
        models: Models,
        rows: Int64Array,
        counts: Int64Array,
        begin: Int64Array,
        columns: Float64Array,
        leaves: UInt8Array,
        fresh: BoolArray,
    ) -> None:
        """Move the usual score and the threshold by the chapter's scores.

        A first chapter has none: the window is scored by what it has just taught. That flatters it a little.
        """
        event = np.arange(self._chapters.length)
        scores = np.where(begin[:, None] + event < counts[:, None], models.scores[rows] * STEP, np.nan)
        first = np.flatnonzero(models.chapters[rows] == 0)
        if len(first):
            model = np.repeat(rows[first], leaves.shape[1])
            own = score(
                models.codes,
                model,
                leaves[first].reshape(len(model), -1),
                columns[first].reshape(len(model), *columns.shape[2:]),
                models.frame[model],
                self._spec.height,
            ).reshape(len(first), -1)
            own = np.where(fresh[first], own, np.nan)
            # A chapter's rows are the newest, and a first chapter's window holds no others.
            scores[first] = own[:, : self._chapters.length]
        count = (~np.isnan(scores)).sum(axis=1)
        ordered = np.sort(scores, axis=1)  # NaN comes last.
        model = np.arange(len(rows))
        peaks = models.peaks[rows]
        threshold.remember_peak(peaks, models.chapters[rows], ordered[model, count - 1], count, self._chapters.length)
        models.peaks[rows] = peaks
        models.chapters[rows] += 1
        length = counts - begin
        share = np.maximum(length / counts, length / (length + CENTER_MEMORY))
        center = models.limits[rows, 0]
        center += share * (ordered[model, (count - 1) // 2] - center)
        limit = threshold.threshold(peaks, self._spec.sensitivity)
        models.limits[rows, 0], models.limits[rows, 1] = center, np.maximum(limit, center + threshold.LEAST_REACH)


def _middle(usable: Float64Array) -> Float64Array:
    """The lower median over the rows [m, w, ...]; NaN where there is none."""
    count = (~np.isnan(usable)).sum(axis=1, keepdims=True)
    ordered = np.sort(usable, axis=1)
    return np.take_along_axis(ordered, np.maximum(count - 1, 0) // 2, axis=1)[:, 0]
