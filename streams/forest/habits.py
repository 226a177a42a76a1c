"""What is usual of each feature, learned from a chapter: its level, its day, what follows what, how far that is off.

In this order, since each step uses the one before:

1. the first chapter of a feature gives it a level;
2. the regression takes the gaps in, and gives the coefficients of the forecast;
3. the spreads move: that of the forecast, as a whole and by the hour, and that of the gaps;
4. how often values repeat;
5. the level moves, then the profile of the day, then what weekdays and weekends differ by;
6. the moments of the columns move by what the rows looked like before all this.
"""

from __future__ import annotations

import numpy as np

from streams.forest import distance, forecast, season
from streams.forest.arrays import BoolArray, Float64Array, Int64Array, UInt16Array
from streams.forest.derive import Runs
from streams.forest.forecast import TERMS, total
from streams.forest.log2 import log2
from streams.forest.models import (
    BITS,
    CENTER,
    CLOSENESS,
    COEFFICIENTS,
    FARTHEST,
    GAP_SPREAD,
    LEVEL,
    REPEATS,
    RESIDUAL,
    RUN,
    SPREAD,
    Models,
)
from streams.forest.season import HOUR_LEANING, HOUR_MEMORY, LEANING, TYPE_LEANING, Day, Leaning, bins_of
from streams.forest.sight import WARM_UP, Past, Seen, see

NORMAL_SPREAD = 1.2533
"""The standard deviation of normal numbers whose mean size is 1. Sizes waver less than squares do."""

MEMORY = 1440.0
"""Rows after which spreads have moved half way."""

LEVEL_MEMORY = 288.0
"""The same of the level."""

MOST_SPREADS = 6.0
"""At which residuals are cut off when the spread of an hour is learned."""

MOST_SPREAD = FARTHEST / 8
"""That of an hour, which may be so many times larger, has to fit a float32."""

RARE = 0.25
"""Repeats more frequent than this say nothing."""


class Chapter:
    """The rows of a chapter of some models, as they lie in the window; m models, n rows at most.

    ``number`` [m, n] counts the events, those ``present`` [m, n] belong to the chapter; ``values`` [m, n, d] are NaN
    for the others. ``rows`` [m] are the models, ``begin`` [m] the numbers of their first events, ``counts`` [m] those
    of the first ones after.
    """

    def __init__(self, models: Models, rows: Int64Array, begin: Int64Array, counts: Int64Array, length: int) -> None:
        self.rows, self.begin, self.counts = rows, begin, counts
        self.number = begin[:, None] + np.arange(length)
        self.present = self.number < counts[:, None]
        self.values, self.marks = values_of(models, rows, self.number, self.present)

    def __getitem__(self, part: Int64Array) -> Chapter:
        chapter = object.__new__(Chapter)
        chapter.rows, chapter.begin, chapter.counts = self.rows[part], self.begin[part], self.counts[part]
        chapter.number, chapter.present = self.number[part], self.present[part]
        chapter.values, chapter.marks = self.values[part], self.marks[part]
        return chapter

    @property
    def length(self) -> Int64Array:
        """Rows [m]."""
        return self.counts - self.begin

    def share(self, memory: float) -> Float64Array:
        """How far averages [m, 1] move that have moved half way after ``memory`` rows, and all alike at first."""
        rows = self.length
        return np.maximum(rows / self.counts, rows / (rows + memory))[:, None]


def values_of(
    models: Models, rows: Int64Array, number: Int64Array, present: BoolArray
) -> tuple[Float64Array, UInt16Array]:
    """The values [m, n, d] and marks [m, n] of the events ``number`` [m, n] in the windows; NaN unless ``present``."""
    slot = number % models.marks.shape[1]
    values = models.window[rows[:, None], slot] + models.origin[rows][:, None]
    values[~present] = np.nan
    return values, models.marks[rows[:, None], slot]


def look_back(models: Models, chapter: Chapter, day: Day) -> Seen:
    """What the models, as they are now, see of the chapter: as ``see``, [m, n, ...]. Moves nothing."""
    past = warm_up(models, chapter.rows, chapter.begin, day)
    past.run[:] = models.runs[chapter.rows, 1]
    return _seen(models, chapter.rows, past, chapter.values, chapter.marks, day)


def warm_up(models: Models, rows: Int64Array, counts: Int64Array, day: Day) -> Past:
    """The past of the models [m] before their events number ``counts``, as they see it now."""
    past = Past.blank(models, rows)
    number = counts[:, None] + np.arange(-WARM_UP, 0)
    values, marks = values_of(models, rows, number, number >= 0)
    _seen(models, rows, past, values, marks, day)
    return past


def _seen(models: Models, rows: Int64Array, past: Past, values: Float64Array, marks: UInt16Array, day: Day) -> Seen:
    m, n = marks.shape
    runs = Runs.of(np.repeat(np.arange(m), n))
    flat = values.reshape(m * n, -1), marks.reshape(-1)
    seen = see(models, np.repeat(rows, n), past, runs, *flat, day)
    return Seen(*(part.reshape(m, n, *part.shape[1:]) for part in vars(seen).values()))


def learn(models: Models, chapter: Chapter, seen: Seen, day: Day) -> Float64Array:
    """Let the models learn the ``chapter`` that they have ``seen``; the columns [m, n, d, COLUMNS] of its rows.

    Protected rows are not learned. In the first chapter of a feature, the columns are what they would have been.
    """
    rows, values = chapter.rows, chapter.values
    use = ~np.isnan(values) & (chapter.marks < season.PROTECTED)[..., None]
    count = use.sum(axis=1)
    taught = count > 0
    known, sums = models.known[rows], models.sums[rows]
    fresh = np.isnan(known[:, LEVEL]) & taught
    if fresh.any():
        known[:, LEVEL] = np.where(fresh, _medians(values), known[:, LEVEL])
        models.known[rows] = known
        seen = look_back(models, chapter, day)
    gap, spread = values - seen.usual, known[:, SPREAD].copy()

    cut = forecast.CUT_OFF * spread[:, None]
    near = seen.forecast + np.minimum(np.maximum(gap - seen.forecast, -cut), cut)
    faded = sums * (1 / (1 + chapter.length / forecast.MEMORY))[:, None, None]
    forecast.learn(faded, seen.gaps, np.where(fresh[:, None], gap, near), use)
    sums = np.where(taught[:, None], faded, sums)
    solved = np.where(taught[:, None], forecast.solve(sums), known[:, COEFFICIENTS : COEFFICIENTS + TERMS])
    known[:, COEFFICIENTS : COEFFICIENTS + TERMS], models.sums[rows] = solved, sums
    residual = gap - seen.forecast
    if fresh.any():
        again = solved[:, None, 0] + solved[:, None, 1] * seen.gaps[:, :, 0]
        for lag in range(1, forecast.LAGS):
            again += solved[:, None, 1 + lag] * seen.gaps[:, :, lag]
        residual = np.where(fresh[:, None], gap - again, residual)

    least = 1e-6 * np.abs(known[:, LEVEL]) + 1e-9
    for row, off in ((SPREAD, residual), (GAP_SPREAD, gap)):
        own = NORMAL_SPREAD * total(np.where(use, np.abs(off), 0.0)) / np.maximum(count, 1)
        moved = np.where(fresh, own, known[:, row] + chapter.share(MEMORY) * (own - known[:, row]))
        known[:, row] = np.where(taught, np.minimum(np.maximum(least, moved), MOST_SPREAD), known[:, row])
    models.known[rows] = known
    columns = seen.columns
    if fresh.any():
        if day.hours:
            models.hours[rows] = np.where(fresh[:, None], known[:, None, SPREAD], models.hours[rows])
        columns = np.where(fresh[:, None, :, None], look_back(models, chapter, day).columns, columns)
    if day.hours:
        off = np.minimum(np.abs(residual), MOST_SPREADS * known[:, None, SPREAD]) * NORMAL_SPREAD
        hours, weights = models.hours[rows], models.hour_weights[rows]
        leaning = Leaning(HOUR_LEANING, HOUR_MEMORY, 0.0, spread, known[:, SPREAD])
        season.learn(hours, weights, bins_of(chapter.marks, day, day.hours), off, use, leaning, FARTHEST)
        models.hours[rows], models.hour_weights[rows] = hours, weights

    _learn_repeats(known, chapter, use)
    moved = known[:, LEVEL] + _level_share(chapter) * (total(np.where(use, gap, 0.0)) / np.maximum(count, 1))
    known[:, LEVEL] = np.where(taught & ~fresh, moved, known[:, LEVEL])
    models.known[rows] = known
    if day.bins:
        _learn_profile(models, chapter, values - known[:, None, LEVEL], use, day)
    _learn_moments(models, chapter, columns)
    return columns


def _medians(values: Float64Array) -> Float64Array:
    """The median [m, d] of the known ones of ``values`` [m, n, d]: the upper one of two."""
    ordered = np.sort(values, axis=1)
    middle = np.minimum((~np.isnan(values)).sum(axis=1) // 2, values.shape[1] - 1)
    return np.take_along_axis(ordered, middle[:, None], axis=1)[:, 0]


def _level_share(chapter: Chapter) -> Float64Array:
    rows = chapter.length
    young = np.where(chapter.counts < LEVEL_MEMORY, rows / chapter.counts, 0.0)
    return np.maximum(rows / (rows + LEVEL_MEMORY), young)[:, None]


def _learn_repeats(known: Float64Array, chapter: Chapter, use: BoolArray) -> None:
    values = chapter.values
    pair = use[:, 1:] & ~np.isnan(values[:, :-1])
    pairs = pair.sum(axis=1)
    share = (((values[:, 1:] == values[:, :-1]) & pair).sum(axis=1) + 0.25) / (pairs + 1.0)
    moved = known[:, REPEATS] + chapter.share(MEMORY) * (share - known[:, REPEATS])
    known[:, REPEATS] = np.where(pairs > 0, moved, known[:, REPEATS])
    bits = np.where(known[:, REPEATS] < RARE, -log2(known[:, REPEATS] + 1e-9), 0.0)
    known[:, BITS] = np.where(pairs > 0, bits, known[:, BITS])


def _learn_profile(models: Models, chapter: Chapter, off: Float64Array, use: BoolArray, day: Day) -> None:
    rows, marks = chapter.rows, chapter.marks
    levels, weights = models.levels[rows], models.level_weights[rows]
    bins, own = bins_of(marks, day, day.bins), slice(day.bins)
    season.learn(levels[:, own], weights[:, own], bins, off, use, Leaning(LEANING, season.MEMORY), FARTHEST)
    rest = off - levels[np.arange(len(rows))[:, None], bins]
    of_type = bins_of(marks, day, day.halves) + ((marks & season.WEEKEND) > 0).astype(np.int64) * day.halves
    own = slice(day.bins, None)
    season.learn(levels[:, own], weights[:, own], of_type, rest, use, Leaning(TYPE_LEANING, season.MEMORY), FARTHEST)
    # A weekend is taken for a weekday until one was seen: else each first Saturday begins with a jump.
    types = slice(day.bins, day.bins + day.halves), slice(day.bins + day.halves, None)
    copied = [np.where(weights[:, a] == 0, levels[:, b], levels[:, a]) for a, b in (types, types[::-1])]
    levels[:, types[0]], levels[:, types[1]] = copied
    models.levels[rows], models.level_weights[rows] = levels, weights


def _learn_moments(models: Models, chapter: Chapter, columns: Float64Array) -> None:
    rows = chapter.rows
    columns = np.where((chapter.marks >= season.PROTECTED)[..., None, None], np.nan, columns)
    most = distance.MOST_SPREADS
    columns[..., RESIDUAL] = np.minimum(np.maximum(columns[..., RESIDUAL], -most), most)
    mean, variance, weight = models.frame[rows, CENTER], models.variance[rows], models.weight[rows]
    distance.learn(mean, variance, weight, columns)
    mean[..., RUN] = 0.0
    models.frame[rows, CENTER], models.variance[rows], models.weight[rows] = mean, variance, weight
    models.frame[rows, CLOSENESS] = distance.closeness(mean, variance, weight)
