"""How far a verdict can be trusted, by what was measured.

Confidence is the share of right verdicts when anomalies and normal stretches are equally frequent: an anomaly
counts as right when it alarms within 25 rows, a normal stretch of 25 rows when it does not. The curve was fitted to
series of seven kinds with anomalies of 5 to 8 standard deviations; ``tests/bench/forest_confidence.py`` compares it
with series that were held back.
"""

from __future__ import annotations

import numpy as np

from streams.forest.arrays import Float64Array, Int64Array

ROWS = np.array([32.0, 90.0, 180.0, 350.0, 700.0, 1500.0])
"""Rows that a model has seen, and"""

RIGHT = np.array([0.79, 0.80, 0.82, 0.87, 0.90, 0.91])
"""the share of right verdicts by then. Young models miss more and raise more that is nothing."""


def confidence(rows: Int64Array, missing: Float64Array) -> Float64Array:
    """The confidence of models that have learned ``rows``, for rows of which a share is ``missing`` or imputed.

    What happens in a missing feature is not found: that half of the verdicts suffers.

    >>> confidence(np.array([32, 350, 9000]), np.array([0.0, 0.0, 0.5])).round(3).tolist()
    [0.79, 0.87, 0.682]
    """
    return _BY_ROWS.take(np.minimum(rows, len(_BY_ROWS) - 1)) * (1 - missing / 2)


_BY_ROWS = np.interp(np.arange(ROWS[-1] + 1), ROWS, RIGHT)
