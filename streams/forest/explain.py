"""Why a row is odd, and what was expected instead. Computed for anomalies only."""

from __future__ import annotations

import numpy as np

from streams.forest.arrays import Float64Array
from streams.forest.bank import Explanation
from streams.forest.distance import distances
from streams.forest.models import Models


def explain(models: Models, row: int, columns: Float64Array) -> Explanation:
    """The explanation of a row with these ``columns`` [d, k] of model ``row``."""
    far = distances(columns, models.mean[row], models.variance[row], models.weight[row]).max(axis=-1)
    total = far.sum()
    attribution = far / total if total > 0 else np.full(len(far), 1 / len(far))
    return Explanation(attribution, models.mean[row, :, 0].copy(), 1.0)
