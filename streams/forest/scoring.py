"""The score of a row: how thinly populated its neighbourhood is, and how far out it lies, both in bits."""

from __future__ import annotations

import numpy as np

from streams.forest.arrays import Float64Array, Int64Array, UInt8Array
from streams.forest.distance import distances
from streams.forest.log2 import STEP, log2
from streams.forest.models import CENTER, CLOSENESS, FAMILIES
from streams.forest.reference import density

TREE_SHARE = 0.2
"""What a bit of the trees counts against a bit of distance."""

HIGHEST = 31.0
"""Scores are kept as 16-bit numbers of steps of 2^-10."""


def scores(
    codes: UInt8Array,
    rows: Int64Array,
    leaves: UInt8Array,
    columns: Float64Array,
    frame: Float64Array,
    height: int,
) -> Float64Array:
    """The score [n, FAMILIES] of each family, of rows whose ``columns`` [n, d, COLUMNS] lie in ``leaves`` [n, trees].

    ``codes`` is the table of all models, ``rows`` [n] are those of the rows, as is ``frame`` [n, 2, d, COLUMNS]
    (models.py). 0 where the window is most crowded; each doubling of the distance adds 1. Multiples of 2^-10. A row as
    a whole scores what the highest of them does.
    """
    thin = height + 1 - log2(density(codes, rows, leaves))
    bits = TREE_SHARE * thin[:, None] + far_bits(columns, frame)
    return np.minimum(np.rint(bits / STEP) * STEP, HIGHEST)


def far_bits(columns: Float64Array, frame: Float64Array) -> Float64Array:
    """The distance [n, FAMILIES] in each family's columns, in bits: that of the farthest column of any feature."""
    far = distances(columns, frame[:, CENTER], frame[:, CLOSENESS])
    farthest = far[:, 0]
    for feature in range(1, far.shape[1]):
        farthest = np.maximum(farthest, far[:, feature])
    of_families = np.empty((len(columns), len(FAMILIES)))
    for family, members in enumerate(FAMILIES):
        of_families[:, family] = farthest[:, members[0]]
        for column in members[1:]:
            of_families[:, family] = np.maximum(of_families[:, family], farthest[:, column])
    return log2(1 + of_families)


def scores_of(totals: Float64Array, bits: Float64Array) -> Float64Array:
    """The scores [..., FAMILIES] of rows that score ``totals`` [...] as a whole, by the ``bits`` of their distance."""
    thin = np.maximum(totals - loudest(bits), 0.0)
    return np.minimum(thin[..., None] + bits, HIGHEST)


def loudest(scores: Float64Array) -> Float64Array:
    """The highest [...] of the scores [..., FAMILIES]: max() takes ten times as long along so short an axis."""
    highest = scores[..., 0]
    for family in range(1, scores.shape[-1]):
        highest = np.maximum(highest, scores[..., family])
    return highest
