"""The score of a row: how thinly populated its neighbourhood is, and how far out it lies, both in bits."""

from __future__ import annotations

import numpy as np

from streams.forest.arrays import Float64Array, Int64Array, UInt8Array
from streams.forest.distance import distances
from streams.forest.log2 import STEP, log2
from streams.forest.models import CENTER, CLOSENESS
from streams.forest.reference import density

TREE_SHARE = 0.2
"""What a bit of the trees counts against a bit of distance."""

HIGHEST = 31.0
"""Scores are kept as 16-bit numbers of steps of 2^-10."""


def score(
    codes: UInt8Array,
    rows: Int64Array,
    leaves: UInt8Array,
    columns: Float64Array,
    frame: Float64Array,
    height: int,
) -> Float64Array:
    """The scores [n] of rows whose ``columns`` [n, d, k] lie in ``leaves`` [n, trees] of models ``rows`` [n].

    ``codes`` is the table of all models, ``frame`` [n, 4, d, k] belongs to the rows (models.py). 0 where the
    window is most crowded; each doubling of the distance adds 1. A multiple of 2^-10.
    """
    thin = height + 1 - log2(density(codes, rows, leaves))
    far = distances(columns, frame[:, CENTER], frame[:, CLOSENESS]).reshape(len(rows), -1)
    farthest = far[:, 0]
    for column in range(1, far.shape[1]):
        farthest = np.maximum(farthest, far[:, column])
    bits = TREE_SHARE * thin + log2(1 + farthest)
    return np.minimum(np.rint(bits / STEP) * STEP, HIGHEST)
