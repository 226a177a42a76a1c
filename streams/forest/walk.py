"""Walking rows down River's trees, many rows and all trees at a time."""

from __future__ import annotations

import numpy as np

from streams.forest.arrays import BoolArray, Float64Array, Int64Array
from streams.forest.structure import Structure


def leaves(structure: Structure, values: Float64Array) -> Int64Array:
    """The leaf [n, trees] that each tree gives to complete rows ``values`` [n, features]."""
    tree = np.arange(structure.trees)
    row = np.arange(len(values))[:, None]
    node = np.zeros((len(values), structure.trees), np.int64)
    for _ in range(structure.height):
        goes_left = values[row, structure.feature[tree, node]] < structure.threshold[tree, node]
        node = 2 * node + 2 - goes_left
    return node - (structure.leaves - 1)


def leaves_by_mass(structure: Structure, values: Float64Array, missing: BoolArray, mass: Int64Array) -> Int64Array:
    """The same for rows of which features are ``missing`` [n, features].

    A walk that asks for a missing feature goes to the heavier child, to the left one when both weigh the same.
    ``mass`` [n, trees, nodes] is what each row's model has counted so far in its current window.
    """
    tree = np.arange(structure.trees)
    row = np.arange(len(values))[:, None]
    node = np.zeros((len(values), structure.trees), np.int64)
    for _ in range(structure.height):
        feature = structure.feature[tree, node]
        heavier_left = mass[row, tree, 2 * node + 1] >= mass[row, tree, 2 * node + 2]
        below = values[row, feature] < structure.threshold[tree, node]
        goes_left = np.where(missing[row, feature], heavier_left, below)
        node = 2 * node + 2 - goes_left
    return node - (structure.leaves - 1)
