"""Why a row is odd, and what was expected instead. Computed for anomalies only."""

from __future__ import annotations

import numpy as np

from schemas.reason import Code
from streams.forest.arrays import BoolArray, Float32Array, Float64Array
from streams.forest.models import DRIFT, GAP, MEAN, RESIDUAL, STUCK, SUM_4, SUM_16, SURPRISE, VALUE

BAND = 3.0
"""Spreads around the expected value in which values are expected to lie."""

LEAST_FAR = 3.0
"""Where no column is so many standard deviations off, it is their combination that is odd."""


def code_of(columns: Float64Array, far: Float64Array, expected: float, family: int, lasts: bool) -> Code:
    """What is odd about a feature, by the ``family`` that speaks loudest and its ``columns`` [COLUMNS]."""
    if lasts:
        return "UNUSUAL_FOR_LONG"
    if family == STUCK:
        return "STANDS_STILL"
    if family == DRIFT:
        return "HIGHER_FOR_LONG" if columns[SUM_16] > 0 else "LOWER_FOR_LONG"
    if family == SURPRISE:
        leading = RESIDUAL if far[RESIDUAL] >= far[SUM_4] else SUM_4
        return "ROSE_UNEXPECTEDLY" if columns[leading] > 0 else "FELL_UNEXPECTEDLY"
    if far[[VALUE, MEAN, GAP]].max() < LEAST_FAR:
        return "UNUSUAL_COMBINATION"
    return "HIGHER_THAN_USUAL" if columns[VALUE] > expected else "LOWER_THAN_USUAL"


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


def nearness(past_values: Float64Array, actual: Float64Array, expected: Float64Array) -> float:
    """The share of past values that lie nearer to what was expected than the actual ones do, over all features."""
    known = ~np.isnan(past_values) & ~np.isnan(actual)
    if not known.any():
        return 0.0
    nearer = np.abs(past_values - expected) <= np.abs(actual - expected)
    return float(nearer[known].mean())
