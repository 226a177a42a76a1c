"""When an alarm is worth raising again: the quiet period.

A row within the quiet period of an alarm is the same trouble, unless it is clearly worse.
"""

from __future__ import annotations

import numpy as np

from streams.forest.arrays import BoolArray, Float64Array, Int64Array

WORSE = 1.3
"""How many times the peak severity a row must reach to alarm again."""

NEVER = -(1 << 62)
"""Number of the last severe event of a model that had none."""


def alarms(
    rows: Int64Array,
    numbers: Int64Array,
    severity: Float64Array,
    last_severe: Int64Array,
    peak: Float64Array,
    quiet_period: int,
) -> BoolArray:
    """Which severe events (severity >= 1) raise an alarm. Updates ``last_severe`` and ``peak`` in place.

    ``rows`` [n] are sorted by model and time, ``numbers`` [n] count each model's events; ``last_severe`` and
    ``peak`` are the bank's arrays.
    """
    raised = np.zeros(len(rows), np.bool_)
    severe = np.flatnonzero(severity >= 1)
    waiting = severe
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
