"""The score of a row: how thinly populated its neighbourhood is, and how far out it lies, both in bits."""

from __future__ import annotations

import numpy as np

from streams.forest.arrays import Float64Array, Int64Array, UInt8Array
from streams.forest.distance import distances
from streams.forest.log2 import STEP, log2
from streams.forest.models import Models
from streams.forest.reference import density

TREE_SHARE = 0.5
"""What a bit of the trees counts against a bit of distance."""

HIGHEST = 31.0
"""Scores are kept as 16-bit numbers of steps of 2^-10."""


def score(models: Models, rows: Int64Array, columns: Float64Array, leaves: UInt8Array, height: int) -> Float64Array:
    """The scores [n] of rows whose ``columns`` [n, d, k] lie in ``leaves`` [n, trees].

    0 where the window is most crowded; each doubling of the distance adds 1. A multiple of 2^-10.
    """
    thin = height + 1 - log2(density(models.codes, rows, leaves))
    far = distances(columns, models.mean[rows], models.variance[rows], models.weight[rows])
    farthest = far.reshape(len(rows), -1).max(axis=1)
    bits = TREE_SHARE * thin + log2(1 + farthest)
    return np.minimum(np.rint(bits / STEP) * STEP, HIGHEST)
