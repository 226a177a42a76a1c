"""What the trees see of a series: each value, its change, the mean of the last eight, and how far it is from
what is usual at this hour.

Trees over the last few values themselves dilute: their cuts run across strongly correlated axes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from streams.forest.arrays import BoolArray, Float64Array, Int8Array, Int32Array, Int64Array

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


def lagged(own: Float64Array, runs: Runs, before: Float64Array) -> Float64Array:
    """The values [n, lags, d] before each event, the latest first.

    ``own`` [n, d] are the events' own, ``before`` [models, lags, d] what came before the batch.
    """
    lags = before.shape[1]
    ahead = before[runs.rows]
    if not runs.rank.any():
        return ahead
    for lag in range(1, lags + 1):
        inside = np.flatnonzero(runs.rank >= lag)
        ahead[inside, lag - 1] = own[inside - lag]
    shifted = np.flatnonzero((runs.rank > 0) & (runs.rank < lags))
    for lag in range(2, lags + 1):
        outside = shifted[runs.rank[shifted] < lag]
        ahead[outside, lag - 1] = before[runs.rows[outside], lag - 1 - runs.rank[outside]]
    return ahead


def latest(own: npt.NDArray[Any], runs: Runs, before: npt.NDArray[Any], last: Int64Array) -> npt.NDArray[Any]:
    """What comes before the next event of a batch: [m, lags, d] for its events ``last`` [m]; see ``lagged``."""
    lag = np.arange(before.shape[1])
    rank = runs.rank[last, None]
    inside = own[np.maximum(last[:, None] - lag, 0)]
    outside = before[runs.rows[last, None], np.maximum(lag - rank - 1, 0)]
    return np.where((lag <= rank)[..., None], inside, outside).astype(before.dtype)


def summed(own: Int64Array, runs: Runs, before: Int8Array) -> Int64Array:
    """The sums [n, d] of each event's ``own`` [n, d] and the whole numbers ``before`` it, exact in any order.

    ``before`` [models, rows, d] are those before the batch, the latest first; so many rows more are summed.
    """
    rows = before.shape[1]
    added = np.cumsum(own, axis=0)
    ahead = np.concatenate([np.zeros_like(added[:1]), added])
    place = np.arange(len(own))
    left = ahead[np.maximum(place - np.minimum(runs.rank, rows), 0)]
    earlier = np.concatenate(
        [np.zeros_like(before[:, :1], np.int64), np.cumsum(before, axis=1, dtype=np.int64)], axis=1
    )
    return added - left + earlier[runs.rows, np.maximum(rows - runs.rank, 0)]


def repeated(values: Float64Array, ahead: Float64Array, runs: Runs, before: Int32Array) -> Int64Array:
    """How often in a row each known value [n, d] has been the same as the known one ``ahead`` [n, d] of it.

    ``before`` [models, d] is how often the latest one before the batch had. A missing value changes nothing.
    """
    known = ~np.isnan(values)
    number = np.cumsum(known, axis=0)
    first = np.arange(len(values)) - runs.rank
    base = number[first] - known[first]
    changed = np.maximum.accumulate(np.where(known & (values != ahead), number, 0), axis=0)
    return np.where(changed > base, number - changed, before[runs.rows] + number - base)


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
