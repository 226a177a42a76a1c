"""How far a verdict can be trusted, by what was measured.

Confidence is the share of right verdicts when anomalies and normal stretches are equally frequent: an anomaly
counts as right when it alarms within 25 rows, a normal stretch of 25 rows when it does not. The curve was fitted to
series of seven kinds with anomalies of 5 to 8 standard deviations; ``tests/bench/forest_confidence.py`` compares it
with series that were held back.
"""

from __future__ import annotations

from streams.forest.arrays import Float64Array, Int64Array

MATURE = 0.87
"""Share of right verdicts of a model that has seen thousands of rows."""

YOUNG = 0.05
"""How much of it a model that has seen nothing lacks, and"""

MATURING = 300.0
"""after how many rows half of that is made up."""


def confidence(rows: Int64Array, missing: Float64Array) -> Float64Array:
    """The confidence of models that have learned ``rows``, for rows of which a share is ``missing`` or imputed.

    What happens in a missing feature is not found: that half of the verdicts suffers.

    >>> import numpy as np
    >>> confidence(np.array([32, 4000]), np.array([0.0, 0.5])).round(3).tolist()
    [0.825, 0.65]
    """
    return (MATURE - YOUNG * MATURING / (rows + MATURING)) * (1 - missing / 2)
