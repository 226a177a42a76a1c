"""From values to leaves without walking: each tree's leaf is the one bit that all features leave standing.

A feature's axis is cut into cells. For a cell, a tree and a feature there is a word of 64 bits: the leaves that
a value in this cell can still reach if nothing is known about the other features. The AND over all features
leaves exactly one bit, the leaf. Three table rows and two ANDs replace the walk of 25 trees down 6 levels.
(The idea of bit vectors over leaves is QuickScorer's, Lucchese et al., SIGIR 2015.)
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from streams.forest.arrays import Float64Array, Int64Array, UInt8Array, UInt64Array
from streams.forest.structure import Structure

CELLS = 512
LOW, HIGH = -1.5, 2.5
"""The range that the cells cover, in units of the reference range: far enough out that no tree cuts beyond."""

MAX_HEIGHT = 6
"""64 leaves fill a word."""


def cell_of(scaled: Float64Array) -> Int64Array:
    """The cell of each scaled value; what lies outside belongs to the outermost cells. NaN is not allowed.

    >>> cell_of(np.array([-9.0, -1.5, 0.0, 0.5, 9.0]))
    array([  0,   0, 192, 256, 511])
    """
    position = (scaled - LOW) * (CELLS / (HIGH - LOW))
    return np.fmin(np.fmax(position, 0.0), CELLS - 1.0).astype(np.int64)


@lru_cache(maxsize=64)
def reachable(structure: Structure) -> UInt64Array:
    """The table [features, cells, trees]: which leaves a value in this cell can reach.

    A threshold takes effect at the next cell border, 1/128 of the reference range apart.
    """
    if structure.height > MAX_HEIGHT:
        raise ValueError(f"a word holds the leaves of trees up to height {MAX_HEIGHT}")
    border = np.ceil((structure.threshold - LOW) * (CELLS / (HIGH - LOW)))
    cells = np.arange(CELLS)
    table = np.empty((structure.features, CELLS, structure.trees), np.uint64)
    for feature in range(structure.features):
        below = np.broadcast_to(
            np.uint64(1) << np.arange(structure.leaves, dtype=np.uint64)[None, :, None],
            (structure.trees, structure.leaves, CELLS),
        )
        for depth in reversed(range(structure.height)):
            nodes = slice((1 << depth) - 1, (2 << depth) - 1)
            left, right = below[:, 0::2], below[:, 1::2]
            goes_left = cells < border[:, nodes, None]
            asks_feature = (structure.feature[:, nodes] == feature)[:, :, None]
            below = np.where(asks_feature, np.where(goes_left, left, right), left | right)
        table[feature] = below[:, 0].T
    return table


def leaves_of(table: UInt64Array, cells: Int64Array) -> UInt8Array:
    """The leaf [n, trees] that each tree gives to rows whose features lie in ``cells`` [n, features]."""
    standing = table[0].take(cells[:, 0], axis=0)
    for feature in range(1, len(table)):
        standing &= table[feature].take(cells[:, feature], axis=0)
    return np.bitwise_count(standing - np.uint64(1))
