"""A model as River's own objects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from river.anomaly import HalfSpaceTrees
from river.preprocessing import MinMaxScaler

from streams.forest.arrays import Int64Array
from streams.forest.spec import ForestSpec


def pipeline(
    spec: ForestSpec,
    *,
    names: Sequence[str],
    low: Mapping[str, float],
    high: Mapping[str, float],
    current: Int64Array,
    reference: Int64Array,
    count: int,
) -> Any:
    """River's ``MinMaxScaler | HalfSpaceTrees`` after ``count`` events.

    ``names`` are the features that the trees ask for; ``low`` and ``high`` the ranges seen; ``current`` and
    ``reference`` [trees, nodes] the masses of the current and of the finished window, in heap order.
    """
    trees = HalfSpaceTrees(n_trees=spec.trees, height=spec.height, window_size=spec.window, seed=spec.seed)
    trees.learn_one(dict.fromkeys(names, 0.0))
    for tree, root in enumerate(trees.trees):
        level = [root]
        for node in range(current.shape[1]):
            level[node].l_mass = int(current[tree, node])
            level[node].r_mass = int(reference[tree, node])
            level += getattr(level[node], "children", ())
    trees.counter = count % spec.window
    trees._first_window = count < spec.window
    scaler = MinMaxScaler()
    for name in low:
        scaler.min[name].min = low[name]
        scaler.max[name].max = high[name]
    return scaler | trees
