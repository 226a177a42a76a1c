"""What the trees know: how many rows of the reference window lie in each node, condensed to one byte a leaf.

A half-space tree scores a row by the mass of the nodes on its way down, each weighted by 2^depth, down to the
first node with too little mass. Between two learnings this sum depends on the leaf alone, so it is computed once
for every leaf. It lies between 1 and 2^(height+1) times the reference count; a logarithmic byte keeps it to 1 %.
"""

from __future__ import annotations

import numpy as np

from streams.forest.arrays import BoolArray, Float64Array, Int64Array, UInt8Array

STOP = 0.1
"""A walk ends at the first node with less than this share of the reference window (Tan et al.)."""

_UNIT = 1 << 16
_OCTAVES = 7.0
SUMS = np.array([round(_UNIT * 2 ** (code * _OCTAVES / 255)) for code in range(256)], np.int64)
"""What a byte stands for, in units of 1 / 65536 of the reference count: whole numbers, so that sums are exact."""

_BORDERS = (SUMS[:-1] + SUMS[1:]) / 2


def leaf_codes(leaves: UInt8Array, kept: BoolArray, height: int) -> UInt8Array:
    """The byte of each leaf [models, trees, 2^height].

    ``leaves`` [models, window, trees] says where each row of the reference window fell, ``kept``
    [models, window] which rows count. A model needs at least one kept row.
    """
    models, _, trees = leaves.shape
    width = 1 << height
    tree_base = (np.arange(models)[:, None] * trees + np.arange(trees)) * width
    places = (tree_base[:, None, :] + leaves)[kept]
    mass = np.bincount(places.ravel(), minlength=models * trees * width).reshape(models, trees, width)
    levels = [mass]
    for _ in range(height):
        levels.append(levels[-1].reshape(models, trees, -1, 2).sum(axis=-1))
    count = levels[-1]
    least = STOP * count
    total = count
    walking = count >= least
    for depth, level in enumerate(reversed(levels[:-1]), start=1):
        walking = np.repeat(walking, 2, axis=-1)
        total = np.repeat(total, 2, axis=-1) + np.where(walking, level << depth, 0)
        walking &= level >= least
    return np.searchsorted(_BORDERS, total * (_UNIT / count)).astype(np.uint8)


def density(codes: UInt8Array, rows: Int64Array, leaves: UInt8Array) -> Float64Array:
    """How crowded the neighbourhood of each row is, against an even spread: the mean over the trees, >= 1.

    ``codes`` is the bank's table [capacity, trees, leaves], ``rows`` [n] the models, ``leaves`` [n, trees].
    """
    _, trees, width = codes.shape
    places = (rows * (trees * width))[:, None] + (np.arange(trees) * width + leaves)
    sums = SUMS.take(codes.reshape(-1).take(places)).sum(axis=1)
    return sums / (trees * _UNIT)
