"""How high a score must be to alarm, for each model by what it has seen, and when to alarm again.

The highest score of each chapter is remembered, for the last 32 chapters. A score is severe when it lies clearly
beyond what chapters usually reach: their median plus a multiple of their scale. (For independent rows the
highest of a chapter follows a Gumbel law whatever the tail: the theory of block maxima.) Medians
don't move when a few chapters hold anomalies, and they do move when spikes belong to normal life.
"""

from __future__ import annotations

import math

import numpy as np

from streams.forest.arrays import BoolArray, Float64Array, Int16Array, Int64Array
from streams.forest.log2 import STEP, log2

PEAKS = 32
EMPTY = np.iinfo(np.int16).min
"""Fills the places of chapters that are still to come."""

UPPER = 0.75
"""The scale is read from the distance between this quantile of the peaks and its counterpart below the median."""

_SHARES = np.array([1 - UPPER, 0.5, UPPER])
_GUMBEL_SPAN = math.log(math.log(UPPER) / math.log(1 - UPPER)) * -1
"""That distance for a Gumbel law of scale 1."""

PRIOR_SCALE = 0.4
PRIOR_CHAPTERS = 8.0
"""Until a model has seen more chapters than this, the scale leans on what is typical of many series."""

LEAST_SCALE = 0.1
REACH = 2.1
"""Multiples of the scale between the median peak and the threshold, at sensitivity 1."""

LEAST_REACH = 0.25
PROTECTED = 0.7
"""From this severity on a row is not learned."""

USUAL = 0.6
"""A chapter in which more than this share of rows is severe is no anomaly any more but a new normal."""

WORSE = 1.3
"""How many times the peak severity a row in the quiet period must reach to alarm again."""

NEVER = -(1 << 62)
"""Number of the last severe event of a model that had none."""


def remember_peak(peaks: Int16Array, chapter: Int64Array, highest: Float64Array, rows: Int64Array, full: int) -> None:
    """Put a chapter's highest score among the peaks [models, PEAKS], in place.

    The highest of ``rows`` < ``full`` rows is raised by what a full chapter would have added to it. Neighbours are
    alike: four times the rows are taken for twice as many that are independent.
    """
    raised = highest + PRIOR_SCALE * math.log(2) / 2 * log2(full / np.maximum(rows, 1.0))
    place = np.arange(len(peaks)), chapter % PEAKS
    peaks[place] = np.clip(np.rint(raised / STEP), EMPTY + 1, -EMPTY - 1)


def threshold(peaks: Int16Array, sensitivity: float) -> Float64Array:
    """The score from which on a row is severe, for each row of ``peaks`` [models, PEAKS].

    >>> round(float(threshold(np.full((1, PEAKS), 2048, np.int16), 1.0)[0]), 2)
    2.21
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
    scale = (PRIOR_SCALE * PRIOR_CHAPTERS + own * count) / (PRIOR_CHAPTERS + count)
    return median + REACH / sensitivity * np.maximum(scale, LEAST_SCALE)


def alarms(
    rows: Int64Array,
    numbers: Int64Array,
    severity: Float64Array,
    last_severe: Int64Array,
    peak: Float64Array,
    quiet_period: int,
) -> BoolArray:
    """Which severe events (severity >= 1) raise an alarm. Updates ``last_severe`` and ``peak`` in place.

    A severe row within the quiet period of the last one is the same trouble, unless it is clearly worse than
    the worst so far. ``rows`` [n] are sorted by model and time, ``numbers`` [n] count each model's events;
    ``last_severe`` and ``peak`` are the bank's arrays.
    """
    raised = np.zeros(len(rows), np.bool_)
    waiting = np.flatnonzero(severity >= 1)
    while len(waiting):
        first = np.ones(len(waiting), np.bool_)
        first[1:] = rows[waiting[1:]] != rows[waiting[:-1]]
        now, waiting = waiting[first], waiting[~first]
        model = rows[now]
        quiet = numbers[now] - last_severe[model] <= quiet_period
        highest = np.where(quiet, peak[model], 0.0)
        raised[now] = ~quiet | (severity[now] > WORSE * highest)
        peak[model] = np.maximum(highest, severity[now])
        last_severe[model] = numbers[now]
    return raised
