"""How far a row is from the mean, in standard deviations: what half-space trees cannot tell.

Beyond the range of the reference window all values fall into the same outermost leaves: to the trees, 4 standard
deviations are as odd as 40. The distance keeps counting.
"""

from __future__ import annotations

import numpy as np

from streams.forest.arrays import Float64Array
from streams.forest.forecast import total
from streams.forest.models import CHANGE, RESIDUAL, RUN

LEAST_ROWS = 16
"""A column that was seen in fewer rows has no standard deviation yet."""

LEAST_DEVIATION = 0.3
"""Of a column that is counted in spreads."""

MOST_SPREADS = 6.0
"""At which residuals are cut off when their moments are learned."""

MEMORY = 1440.0
"""Rows after which the mean and the variance have moved half way."""


def least_spread(size: Float64Array) -> Float64Array:
    """The spread below which a column of a feature of this ``size`` only shows how numbers are rounded."""
    return 1e-9 * np.abs(size)


def spread_of_constant(size: Float64Array) -> Float64Array:
    """What counts as the spread of a column that never changed: a thousandth of the feature's ``size``."""
    return 1e-3 * np.abs(size) + 1e-9


def deviation(size: Float64Array, variance: Float64Array) -> Float64Array:
    """The standard deviation, never 0. ``size`` is the mean of the feature to which the column belongs."""
    spread = np.sqrt(variance)
    return np.where(spread > least_spread(size), spread, spread_of_constant(size))


def closeness(mean: Float64Array, variance: Float64Array, weight: Float64Array) -> Float64Array:
    """1 / standard deviation of each column [..., d, COLUMNS]; 0 for those that are not counted.

    That is columns seen too seldom, and changes: after each odd value comes a change back, and it would count twice.
    Sums and residuals are in spreads already: there a small deviation only shows that little was seen. Runs are in bits
    and counted as they are.
    """
    spread = np.empty_like(variance)
    spread[..., :RESIDUAL] = deviation(mean[..., :1], variance[..., :RESIDUAL])
    spread[..., RESIDUAL:] = np.maximum(np.sqrt(variance[..., RESIDUAL:]), LEAST_DEVIATION)
    close = np.where(weight < LEAST_ROWS, 0.0, 1 / spread)
    close[..., CHANGE], close[..., RUN] = 0.0, 1.0
    return close


def distances(columns: Float64Array, center: Float64Array, close: Float64Array) -> Float64Array:
    """The distance of each column [..., d, k] in standard deviations, 0 for what is unknown."""
    return np.fmax(np.abs(columns - center) * close, 0.0)


def learn(mean: Float64Array, variance: Float64Array, weight: Float64Array, rows: Float64Array) -> None:
    """Move the moments [models, ...] by a chapter's ``rows`` [models, rows, ...], in place. NaN is left out."""
    known = ~np.isnan(rows)
    count = known.sum(axis=1)
    divisor = np.maximum(count, 1)
    own_mean = total(np.where(known, rows, 0.0)) / divisor
    own_variance = total(np.where(known, (rows - own_mean[:, None]) ** 2, 0.0)) / divisor
    share = np.maximum(count / np.maximum(weight + count, 1), count / (count + MEMORY))
    shift = own_mean - mean
    mean += share * shift
    variance *= 1 - share
    variance += share * ((1 - share) * shift**2 + own_variance)
    weight += count
