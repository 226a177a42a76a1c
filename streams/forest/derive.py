"""What the trees see of a series: each value, its change, the mean of the last eight, and how far it is from
what is usual at this hour.

Trees over the last few values themselves dilute: their cuts run across strongly correlated axes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from streams.forest.arrays import BoolArray, Float64Array, Int64Array

SPAN = 8
"""Values in the short mean: a shift of 2 sd that lasts stands out of it as 5 sd would of single values."""

LAGS = SPAN - 1
LEAST_KNOWN = SPAN // 2
"""A mean of fewer known values is not used."""


@dataclass(frozen=True)
class Runs:
    """Events sorted by model, each model's in the order of time.

    ``rows`` [n] names the model, ``rank`` [n] is the place of an event among its model's events in this batch.
    """

    rows: Int64Array
    rank: Int64Array

    @classmethod
    def of(cls, rows: Int64Array) -> Runs:
        """The runs of sorted ``rows``.

        >>> Runs.of(np.array([3, 3, 8])).rank
        array([0, 1, 0])
        """
        place = np.arange(len(rows))
        first = np.ones(len(rows), np.bool_)
        first[1:] = rows[1:] != rows[:-1]
        return cls(rows, place - np.maximum.accumulate(np.where(first, place, 0)))

    @property
    def last(self) -> BoolArray:
        """Which events are the last of their model."""
        last = np.ones(len(self.rows), np.bool_)
        last[:-1] = self.rank[1:] == 0
        return last


def carry_forward(values: Float64Array, runs: Runs, before: Float64Array) -> Float64Array:
    """``values`` [n, d] with each missing one replaced by the last one known to its model.

    ``before`` [n, d] is what was known before the batch (NaN for nothing).
    """
    missing = np.isnan(values)
    if not missing.any():
        return values
    place = np.arange(len(values))[:, None]
    known = np.maximum.accumulate(np.where(missing, -1, place), axis=0)
    in_run = known >= place - runs.rank[:, None]
    carried = np.take_along_axis(values, np.maximum(known, 0), axis=0)
    return np.where(in_run, carried, before)


def running_max(values: Float64Array, runs: Runs, before: Float64Array) -> tuple[Float64Array, Float64Array]:
    """The highest value [n, d] of each event's model before the event, and with it. NaN is passed over.

    ``before`` [n, d] is the highest before the batch (-inf for none).
    """
    highest = np.fmax(values, before)
    reach = 1
    while reach <= runs.rank.max(initial=0):
        inside = runs.rank[reach:, None] >= reach
        further = np.fmax(highest[reach:], highest[:-reach])
        highest[reach:] = np.where(inside, further, highest[reach:])
        reach *= 2
    ahead = before.copy()
    ahead[1:] = np.where(runs.rank[1:, None] > 0, highest[:-1], before[1:])
    return ahead, highest


def lagged(carried: Float64Array, runs: Runs, recent: Float64Array) -> Float64Array:
    """The values [n, LAGS, d] before each event, the latest first.

    ``carried`` [n, d] are the events' own, ``recent`` [models, LAGS, d] what came before the batch.
    """
    before = recent[runs.rows]
    if not runs.rank.any():
        return before
    for lag in range(1, LAGS + 1):
        inside = np.flatnonzero(runs.rank >= lag)
        before[inside, lag - 1] = carried[inside - lag]
    shifted = np.flatnonzero((runs.rank > 0) & (runs.rank < LAGS))
    for lag in range(2, LAGS + 1):
        outside = shifted[runs.rank[shifted] < lag]
        before[outside, lag - 1] = recent[runs.rows[outside], lag - 1 - runs.rank[outside]]
    return before


def derive(values: Float64Array, before: Float64Array) -> list[Float64Array]:
    """Each value's change and the mean of the last eight.

    ``values`` [..., d] and the ``LAGS`` values ``before`` [..., LAGS, d] each, the latest first. A change is
    unknown (NaN) where the value or the one before is. The mean takes what is known; it is unknown where the
    value itself or most of the others are.

    >>> change, mean = derive(np.array([9.0]), np.array([[1.0], [2.0], [3.0], [4.0], [5.0], [6.0], [7.0]]))
    >>> float(change[0]), float(mean[0])
    (8.0, 4.625)
    """
    change = values - before[..., 0, :]
    total = values.copy()
    for lag in range(LAGS):
        total += before[..., lag, :]
    mean = total / SPAN
    incomplete = np.isnan(mean) & ~np.isnan(values)
    if incomplete.any():
        window = np.concatenate([values[incomplete][:, None], np.moveaxis(before, -2, -1)[incomplete]], axis=1)
        known = ~np.isnan(window)
        count = known.sum(axis=1)
        some = np.add.accumulate(np.where(known, window, 0.0), axis=1)[:, -1] / count
        mean[incomplete] = np.where(count >= LEAST_KNOWN, some, np.nan)
    return [change, mean]
