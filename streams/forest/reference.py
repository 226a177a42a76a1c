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

_OCTAVES = 7.0
SUMS = np.array([round(65536 * 2 ** (code * _OCTAVES / 255)) for code in range(256)], np.float64)
"""What a byte stands for, in units of 1 / 65536 of the reference count: whole numbers, so that sums are exact."""

_FINE = 256
CODES = np.searchsorted((SUMS[:-1] + SUMS[1:]) / 2, np.arange(128 * _FINE + 1) * (65536 // _FINE)).astype(np.uint8)
"""The byte of a sum in units of 1 / 256 of the reference count."""


def leaf_codes(leaves: UInt8Array, kept: BoolArray, height: int) -> UInt8Array:
    """The byte of each leaf [models, trees, 2^height].

    ``leaves`` [models, window, trees] says where each row of the reference window fell, ``kept``
    [models, window] which rows count. A model needs at least one kept row.
    """
    models, rows, trees = leaves.shape
    width = 1 << height
    # Nodes come first: then all steps below run along models and trees, many at a time.
    place = (np.arange(models)[:, None] * trees + np.arange(trees))[:, None, :] + leaves.astype(np.int64) * (
        models * trees
    )
    count = np.full(models, rows) if kept.all() else kept.sum(axis=1)
    place = place.reshape(-1) if kept.all() else place[kept].reshape(-1)
    mass = np.bincount(place, minlength=width * models * trees).reshape(width, -1)
    count_of_tree = np.repeat(count, trees)
    total = sums_of_leaves(heap_order(mass, height), height, STOP * count_of_tree)
    codes = CODES.take((total * (_FINE / count_of_tree)).astype(np.int64))
    return np.ascontiguousarray(codes.T).reshape(models, trees, width)


def heap_order(mass: Int64Array, height: int) -> Int64Array:
    """The mass of every node [2^(height+1) - 1, ...] from that of the leaves [2^height, ...]."""
    levels = [mass]
    for _ in range(height):
        levels.append(levels[-1][0::2] + levels[-1][1::2])
    return np.concatenate(levels[::-1])


def sums_of_leaves(mass: Int64Array, height: int, least: float | Float64Array) -> Int64Array:
    """For each leaf, the masses [nodes, ...] times 2^depth on the way down to it, up to the first below ``least``."""
    total = mass[:1]
    walking = total >= least
    for depth in range(1, height + 1):
        level = mass[(1 << depth) - 1 : (2 << depth) - 1]
        walking = np.repeat(walking, 2, axis=0)
        total = np.repeat(total, 2, axis=0) + np.where(walking, level << depth, 0)
        walking = walking & (level >= least)
    return total


def density(codes: UInt8Array, rows: Int64Array, leaves: UInt8Array) -> Float64Array:
    """How crowded the neighbourhood of each row is, against an even spread: the mean over the trees, >= 1.

    ``codes`` is the bank's table [capacity, trees, leaves], ``rows`` [n] the models, ``leaves`` [n, trees].
    """
    _, trees, width = codes.shape
    places = (rows * (trees * width))[:, None] + (np.arange(trees) * width + leaves)
    sums = SUMS.take(codes.reshape(-1).take(places)) @ np.ones(trees)  # Whole numbers: exact in any order.
    return sums / (trees * 65536.0)
