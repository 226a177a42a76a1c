"""What is usual at this time of the week: half-space trees do not see time.

Each model keeps the mean of every hour of the day, of weekdays and of weekends apart (in UTC; another time zone
only renames the hours). What the trees and the distances get is the value's gap from it. While an hour is young its
mean leans on the model's overall mean, so that a series without a season is not made noisier.
"""

from __future__ import annotations

import numpy as np

from streams.forest.arrays import Float32Array, Float64Array, Int64Array, UInt8Array

HOURS = 48
"""24 of weekdays, 24 of weekends."""

PROTECTED = 64
"""Marks a row that is not learned, beside its hour."""

LEANING = 5.0
"""Rows that the overall mean counts for."""

MEMORY = 240.0
"""Rows of its own hour after which an hour's mean has moved half way."""

_HOUR_MS = 3_600_000
_EPOCH_WEEKDAY = 3  # 1 January 1970 was a Thursday.


def hour_of(ends: Int64Array) -> UInt8Array:
    """The hour in which a window that ends at ``ends`` (epoch ms) lies: 0 to 23 on weekdays, 24 to 47 on weekends.

    >>> hour_of(np.array([3_600_000, 3_600_001, 2 * 86_400_000 + 1])).tolist()
    [0, 1, 24]
    """
    hour = (ends - 1) // _HOUR_MS
    weekend = (hour // 24 + _EPOCH_WEEKDAY) % 7 >= 5
    return (hour % 24 + 24 * weekend).astype(np.uint8)


def usual(level: Float64Array, weight: Float32Array, mean: Float64Array) -> Float64Array:
    """What is usual, from an hour's mean ``level``, its rows ``weight`` and the overall ``mean``.

    >>> float(usual(np.array(4.0), np.array(5.0, np.float32), np.array(2.0)))
    3.0
    """
    return mean + (level - mean) * (weight / (weight + LEANING))


def learn(levels: Float32Array, weights: Float32Array, hours: UInt8Array, values: Float64Array) -> None:
    """Move the hours' means by a chapter's rows, in place.

    ``levels`` and ``weights`` [models, HOURS, d]; ``hours`` [models, rows]; ``values`` [models, rows, d] (NaN for
    missing), relative to what the levels are relative to.
    """
    models, _, features = values.shape
    known = ~np.isnan(values)
    place = (np.arange(models)[:, None] * HOURS + hours)[:, :, None] * features + np.arange(features)
    cells = models * HOURS * features
    count = np.bincount(place[known], minlength=cells).reshape(levels.shape)
    mean = np.bincount(place[known], values[known], minlength=cells).reshape(levels.shape) / np.maximum(count, 1)
    weights += count.astype(np.float32)
    share = np.maximum(count / np.maximum(weights, 1), count / (count + MEMORY))
    levels += (share * (mean - levels)).astype(np.float32)
