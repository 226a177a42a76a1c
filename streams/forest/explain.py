"""Why a row is odd, and what was expected instead. Computed for anomalies only."""

from __future__ import annotations

import numpy as np

from streams.forest.arrays import BoolArray, Float32Array, Float64Array

STEPS_BACK = 4
NEIGHBOURS = 5
LEAST_PAST = 10


def shares(far: Float64Array) -> Float64Array:
    """Each feature's share of the squared distance [d] from the mean; even shares when nothing is far.

    >>> shares(np.array([3.0, 0.0, 4.0])).tolist()
    [0.36, 0.0, 0.64]
    """
    squares = np.square(far / max(float(far.max()), 1e-300))
    total = squares.sum()
    return squares / total if total > 0 else np.full(len(far), 1 / len(far))


def past(window: Float32Array, protected: BoolArray, origin: Float64Array, start: int, length: int) -> Float64Array:
    """The values [rows, d] of a model's window from before event ``start``, oldest first; NaN for protected rows.

    Of a full window only the part is taken that the chapter of ``length`` events that begins at ``start``
    does not overwrite: what is expected must not depend on how far the chapter has come.
    """
    size = len(window)
    first = max(0, start + length - size)
    slots = np.arange(first, start) % size
    return np.where(protected[slots, None], np.nan, window[slots] + origin)


def successors(past_values: Float64Array, before: Float64Array, mean: Float64Array) -> Float64Array:
    """What usually followed values like the last ones, for each feature [d].

    The median of what came after the five places in ``past_values`` [rows, d] whose four values are nearest to
    the latest four ``before`` [LAGS, d] (latest first); the ``mean`` [d] where too little is known.
    """
    expected = mean.copy()
    for feature in range(len(mean)):
        series, latest = past_values[:, feature], before[:STEPS_BACK, feature]
        if len(series) < STEPS_BACK + 1:
            continue
        stretches = np.lib.stride_tricks.sliding_window_view(series, STEPS_BACK + 1)
        gap = np.abs(stretches[:, -2::-1] - latest).sum(axis=1)
        usable = np.flatnonzero(~np.isnan(gap + stretches[:, -1]))
        if len(usable) < LEAST_PAST:
            continue
        nearest = usable[np.argsort(gap[usable], kind="stable")[:NEIGHBOURS]]
        expected[feature] = np.sort(stretches[nearest, -1])[NEIGHBOURS // 2]
    return expected


def nearness(past_values: Float64Array, actual: Float64Array, expected: Float64Array) -> float:
    """The share of past values that lie nearer to what was expected than the actual ones do, over all features."""
    known = ~np.isnan(past_values) & ~np.isnan(actual)
    if not known.any():
        return 0.0
    nearer = np.abs(past_values - expected) <= np.abs(actual - expected)
    return float(nearer[known].mean())
