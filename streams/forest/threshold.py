"""How high a score must be to alarm, for each model by what it has seen.

The highest score of each chapter is remembered, for the last 32 chapters. A score is severe when it lies clearly
beyond what chapters usually reach: their median plus a multiple of their scale. (For independent rows the
highest of a chapter follows a Gumbel law whatever the tail: the theory of block maxima.) Medians
don't move when a few chapters hold anomalies, and they do move when spikes belong to normal life.
"""

from __future__ import annotations

import math

import numpy as np

from streams.forest.arrays import Float64Array, Int16Array, Int64Array
from streams.forest.chapters import FIRST
from streams.forest.log2 import STEP, log2

PEAKS = 32
EMPTY = np.iinfo(np.int16).min
"""Fills the places of chapters that are still to come."""

GROWTH = 0.4
"""Bits that the highest score gains with e times the rows."""

UPPER = 0.75
"""The scale is read from the distance between this quantile of the peaks and its counterpart below the median."""

_SHARES = np.array([1 - UPPER, 0.5, UPPER])
_GUMBEL_SPAN = math.log(math.log(UPPER) / math.log(1 - UPPER)) * -1
"""That distance for a Gumbel law of scale 1."""

PRIOR_SCALE = 0.28
"""Typical of the peaks of one feature. The highest of many vary less: of d features, it is divided by the root of d."""

PRIOR_CHAPTERS = 24.0
"""The scale leans on what is typical of many series, or on the tail of the model's own scores where that is heavier,
as on so many chapters: a few peaks don't tell it well enough."""

TAIL_SHARE = 0.08
LEAST_TAIL = 4
"""So many of a chapter's scores, the highest, are its tail."""

TAIL = 1.2
"""Scales of the peaks for each bit by which the tail lies, in the mean, above where it begins."""

TAIL_CAP = 2.0
"""A single chapter counts for at most so many times the tail known so far: it may hold an anomaly."""

LEAST_SCALE = 0.1
REACH = 2.9
"""Multiples of the scale between the median peak and the threshold, at sensitivity 1 and windows of five minutes."""

REACH_INTERVAL = 300
REACH_PER_DOUBLING = 0.416
MOST_DOUBLINGS = 3.6
"""People count alarms a day: the reach grows with the number of windows in a day, up to twelve times more or fewer."""

YOUNG = 0.7
"""Bits by which thresholds are higher after the first chapter. It falls as rows are seen."""

LEAST_REACH = 0.25
PROTECTED = 0.7
"""From this severity on a row is not learned."""

USUAL = 0.6
"""A chapter in which more than this share of rows is severe is no anomaly any more but a new normal."""


def remember_peak(peaks: Int16Array, chapter: Int64Array, highest: Float64Array, rows: Int64Array, full: int) -> None:
    """Put a chapter's highest score among the peaks [models, PEAKS], in place.

    The highest of ``rows`` < ``full`` rows is raised by what a full chapter would have added to it. Neighbours are
    alike: four times the rows are taken for twice as many that are independent.
    """
    raised = highest + GROWTH * math.log(2) / 2 * log2(full / np.maximum(rows, 1.0))
    place = np.arange(len(peaks)), chapter % PEAKS
    peaks[place] = np.clip(np.rint(raised / STEP), EMPTY + 1, -EMPTY - 1)


def reach(interval: int, sensitivity: float) -> float:
    """Multiples of the scale between the median peak and the threshold, for windows of ``interval`` seconds.

    >>> [round(reach(interval, 1.0), 2) for interval in (60, 300, 3600)]
    [3.87, 2.9, 1.41]
    """
    doublings = float(log2(np.array([REACH_INTERVAL / interval]))[0])
    return (REACH + REACH_PER_DOUBLING * min(max(doublings, -MOST_DOUBLINGS), MOST_DOUBLINGS)) / sensitivity


def learn_tail(tail: Float64Array, chapters: Int64Array, ordered: Float64Array, count: Int64Array) -> Float64Array:
    """The tail [m] of models that have seen so many ``chapters`` before, with one more.

    It is how far, in the mean, a chapter's highest scores lie above the highest of the others. ``ordered`` [m, n] are
    the scores, rising, of which each model has ``count``.
    """
    model = np.arange(len(tail))
    highest = np.minimum(np.maximum(LEAST_TAIL, (count * TAIL_SHARE + 0.5).astype(np.int64)), count - 1)
    total = np.zeros(len(tail))
    for place in range(int(highest.max(initial=0))):
        total += np.where(place < highest, ordered[model, np.maximum(count - 1 - place, 0)], 0.0)
    excess = total / np.maximum(highest, 1) - ordered[model, np.maximum(count - 1 - highest, 0)]
    excess = np.where(chapters > 0, np.minimum(excess, TAIL_CAP * tail), excess)
    return tail + (excess - tail) / np.minimum(chapters + 1, PEAKS)


def prior(features: int) -> float:
    """The typical scale of the peaks of so many features.

    >>> prior(4)
    0.14
    """
    return PRIOR_SCALE / math.sqrt(features)


def threshold(peaks: Int16Array, reach: float | Float64Array, tail: Float64Array, prior: float) -> Float64Array:
    """The score from which on a row is severe, for each row of ``peaks`` [models, PEAKS] and their ``tail`` [models].

    ``reach`` may be one for each of them, too; ``prior`` is the typical scale.

    >>> round(float(threshold(np.full((1, PEAKS), 2048, np.int16), 2.5, np.zeros(1), 0.28)[0]), 2)
    2.3
    """
    ordered = np.sort(peaks, axis=1) * STEP
    count = (peaks != EMPTY).sum(axis=1)
    first = PEAKS - count
    model = np.arange(len(peaks))
    place = first + _SHARES[:, None] * (count - 1)
    below = np.minimum(place.astype(np.int64), PEAKS - 1)
    low, high = ordered[model, below], ordered[model, np.minimum(below + 1, PEAKS - 1)]
    lower, median, upper = low + (place - below) * (high - low)
    own = (upper - lower) / _GUMBEL_SPAN
    typical = np.maximum(prior, TAIL * tail)
    scale = (typical * PRIOR_CHAPTERS + own * count) / (PRIOR_CHAPTERS + count)
    return median + reach * np.maximum(scale, LEAST_SCALE)


def allowance(rows: Int64Array) -> Float64Array:
    """Bits that thresholds are higher by while a model has seen few ``rows``.

    >>> allowance(np.array([32, 320])).round(2).tolist()
    [0.7, 0.07]
    """
    return YOUNG * FIRST / rows
