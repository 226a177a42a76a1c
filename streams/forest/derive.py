"""What the trees see of a series: each value, and by how much it changed since 1 and since 4 windows ago.

Trees over the last few values themselves dilute: their cuts run across strongly correlated axes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from streams.forest.arrays import BoolArray, Float64Array, Int64Array

CHANGES = (1, 4)
LAGS = max(CHANGES)
PER_FEATURE = 1 + len(CHANGES)


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


def lagged(carried: Float64Array, runs: Runs, recent: Float64Array, lag: int) -> Float64Array:
    """The values [n, d] of ``lag`` events before each event.

    ``recent`` [models, LAGS, d] holds what came before the batch, the latest first.
    """
    lagged_values = np.empty_like(carried)
    lagged_values[lag:] = carried[:-lag]
    outside = np.flatnonzero(runs.rank < lag)
    lagged_values[outside] = recent[runs.rows[outside], lag - 1 - runs.rank[outside]]
    return lagged_values


def derived(values: Float64Array, lags: list[Float64Array]) -> Float64Array:
    """Values [..., d] and their changes against ``lags`` (one array for each of ``CHANGES``): [..., 3d].

    The columns of one feature stand together. What is not known is NaN.
    """
    columns = np.stack([values, *(values - lag for lag in lags)], axis=-1)
    return columns.reshape(*values.shape[:-1], -1)
