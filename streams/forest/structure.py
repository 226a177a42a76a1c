"""Where the trees cut: drawn once by River, shared by all entities.

River builds every half-space tree before it has seen data, from its seed, the feature names and their limits
alone. So a million entities can share one structure, and an entity's own state is only what it has counted.
"""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from weakref import WeakValueDictionary

import numpy as np

# Seconds of work, done when a worker is loaded: beside a running event loop it starved for a minute on a busy machine,
# or held up the loop with the first detector.
from river.anomaly import HalfSpaceTrees

from streams.forest.arrays import Float64Array, Int64Array

Limits = tuple[float, float]


@dataclass(frozen=True, eq=False)
class Structure:
    """``feature`` and ``threshold`` [trees, 2^height - 1] of the inner nodes, in heap order.

    The children of node ``i`` are ``2i + 1`` (value < threshold) and ``2i + 2``; the leaves of a tree are
    numbered from left to right. ``fingerprint`` is a hash of all of it: two structures with the same one
    count alike.
    """

    feature: Int64Array
    threshold: Float64Array
    features: int
    height: int
    fingerprint: bytes

    @property
    def trees(self) -> int:
        """How many trees there are."""
        return int(self.feature.shape[0])

    @property
    def leaves(self) -> int:
        """How many leaves each tree has."""
        return 1 << self.height


@lru_cache(maxsize=64)
def draw_river(seed: int, features: int, trees: int, height: int) -> Structure:
    """The structure of ``river.anomaly.HalfSpaceTrees(seed=seed)`` over ``features`` features in [0, 1].

    Features are numbered by the rank of their names, which is all that River's structure depends on.
    """
    return _read(_grow(seed, dict.fromkeys(range(features), (0.0, 1.0)), trees, height), features, height)


_in_use: WeakValueDictionary[tuple[int, int, int, int], Structure] = WeakValueDictionary()


@lru_cache(maxsize=64)
def draw_spaced(seed: int, features: int, trees: int, height: int) -> Structure:
    """Trees by River, each in a work space of its own. Drawn once as long as somebody holds them.

    A worker has banks of each detector on every model partition, and hundreds of detectors: drawing anew for each bank
    took a worker that started more than a minute.

    Tan, Ting and Liu (2011) place the work space of a tree at random around the data, so that values beyond
    what was seen still find empty leaves: ``s`` uniform in [0, 1], limits ``s -+ 2 max(s, 1 - s)``. With
    limits of [0, 1] for every tree a new extreme shares its leaf with the old one and goes unnoticed.
    """
    key = (seed, features, trees, height)
    if key not in _in_use:
        _in_use[key] = structure = _draw_spaced(*key)
        return structure
    return _in_use[key]


def _draw_spaced(seed: int, features: int, trees: int, height: int) -> Structure:
    random_source = random.Random(seed)
    grown = []
    for tree in range(trees):
        limits: dict[int, Limits] = {}
        for feature in range(features):
            center = random_source.random()
            reach = 2 * max(center, 1 - center)
            limits[feature] = (center - reach, center + reach)
        grown += _grow(seed + tree, limits, 1, height)
    return _read(grown, features, height)


def _grow(seed: int, limits: dict[int, Limits], trees: int, height: int) -> list[Any]:
    model = HalfSpaceTrees(n_trees=trees, height=height, limits=limits, seed=seed)
    model.learn_one(dict.fromkeys(limits, 0.0))
    return list(model.trees)


def _read(grown: list[Any], features: int, height: int) -> Structure:
    inner = (1 << height) - 1
    feature = np.zeros((len(grown), inner), np.int64)
    threshold = np.zeros((len(grown), inner))
    for tree, root in enumerate(grown):
        level = [root]
        for node in range(inner):
            branch = level[node]
            feature[tree, node], threshold[tree, node] = branch.feature, branch.threshold
            level += branch.children
    digest = hashlib.blake2b(digest_size=8)
    digest.update(feature.astype("<i8").tobytes())
    digest.update(threshold.astype("<f8").tobytes())
    return Structure(feature, threshold, features, height, digest.digest())
