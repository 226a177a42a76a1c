"""From values to leaves without walking: each tree's leaf is the one bit that all features leave standing.

A feature's axis is cut into cells. For a cell, a tree and a feature there is a word of 64 bits: the leaves that
a value in this cell can still reach if nothing is known about the other features. The AND over all features
leaves exactly one bit, the leaf. Three table rows and two ANDs replace the walk of 25 trees down 6 levels.
(The idea of bit vectors over leaves is QuickScorer's, Lucchese et al., SIGIR 2015.)
"""

from __future__ import annotations

from weakref import WeakKeyDictionary

import numpy as np

from streams.forest.arrays import Float64Array, Int64Array, UInt8Array, UInt64Array
from streams.forest.structure import Structure

CELLS = 512
LOW, HIGH = -1.5, 2.5
"""The range that the cells cover, in units of the reference range: far enough out that no tree cuts beyond."""

MAX_HEIGHT = 6
"""64 leaves fill a word."""

ALL = np.uint64(2**64 - 1)


def cell_of(scaled: Float64Array) -> Int64Array:
    """The cell of each scaled value; what lies outside belongs to the outermost cells. NaN is not allowed.

    >>> cell_of(np.array([-9.0, -1.5, 0.0, 0.5, 9.0]))
    array([  0,   0, 192, 256, 511])
    """
    position = (scaled - LOW) * (CELLS / (HIGH - LOW))
    return np.fmin(np.fmax(position, 0.0), CELLS - 1.0).astype(np.int64)


_tables: WeakKeyDictionary[Structure, UInt64Array] = WeakKeyDictionary()


def reachable(structure: Structure) -> UInt64Array:
    """The table [features, cells, trees]: which leaves a value in this cell can reach. One for all who ask.

    A threshold takes effect at the next cell border, 1/128 of the reference range apart.
    """
    if structure not in _tables:
        _tables[structure] = _table(structure)
    return _tables[structure]


def _table(structure: Structure) -> UInt64Array:
    if structure.height > MAX_HEIGHT:
        raise ValueError(f"a word holds the leaves of trees up to height {MAX_HEIGHT}")
    border = np.ceil((structure.threshold - LOW) * (CELLS / (HIGH - LOW)))
    left, right = _below(structure.height)
    tree, node = np.indices(structure.feature.shape)
    at = (structure.feature, np.clip(border, 0, CELLS).astype(np.int64), tree)
    # Where a node's border is, what it takes away: from there on its left leaves, before it its right ones.
    from_there = np.full((structure.features, CELLS + 1, structure.trees), ALL)
    before = from_there.copy()
    np.bitwise_and.at(from_there, at, ~left[node])
    np.bitwise_and.at(before, at, ~right[node])
    from_there = np.bitwise_and.accumulate(from_there[:, :-1], axis=1)
    before = np.bitwise_and.accumulate(before[:, :0:-1], axis=1)[:, ::-1]
    return np.ascontiguousarray(from_there & before & np.uint64((1 << structure.leaves) - 1))


def _below(height: int) -> tuple[UInt64Array, UInt64Array]:
    """For each inner node the leaves below its left child, and those below its right one."""
    leaves = [1 << leaf for leaf in range(1 << height)]
    below = [0] * ((1 << height) - 1) + leaves
    for node in reversed(range((1 << height) - 1)):
        below[node] = below[2 * node + 1] | below[2 * node + 2]
    return np.array(below[1::2], np.uint64), np.array(below[2::2], np.uint64)


def leaves_of(table: UInt64Array, cells: Int64Array) -> UInt8Array:
    """The leaf [n, trees] that each tree gives to rows whose features lie in ``cells`` [n, features]."""
    standing = table[0].take(cells[:, 0], axis=0)
    for feature in range(1, len(table)):
        standing &= table[feature].take(cells[:, feature], axis=0)
    return np.bitwise_count(standing - np.uint64(1))
