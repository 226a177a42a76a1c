"""River mode against River itself."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from river.anomaly import HalfSpaceTrees
from river.preprocessing import MinMaxScaler

from streams.forest import ForestSpec
from streams.forest.arrays import Float64Array
from streams.forest.river import RiverBank

NAMES = "abcdefghij"


def as_river_does(model: Any, values: Float64Array) -> list[float]:
    scores = []
    for row in values.tolist():
        features = {name: value for name, value in zip(NAMES, row, strict=False) if not math.isnan(value)}
        scores.append(float(model.score_one(features)))
        model.learn_one(features)
    return scores


@st.composite
def cases(draw: st.DrawFn) -> tuple[ForestSpec, Float64Array]:
    features = draw(st.integers(1, 4))
    spec = ForestSpec(
        kind="river",
        features=features,
        seed=draw(st.integers(0, 2**31)),
        trees=draw(st.integers(1, 6)),
        height=draw(st.integers(1, 9)),
        window=draw(st.sampled_from([2, 7, 40, 260, 300])),
    )
    source = np.random.default_rng(draw(st.integers(0, 2**31)))
    n = draw(st.integers(1, 2 * spec.window + 60))
    values = source.normal(0, 1, (n, features)).round(draw(st.integers(0, 3)))
    values[source.random(values.shape) < draw(st.sampled_from([0.0, 0.1, 0.5]))] = np.nan
    # River has no answer to a row without features.
    values[np.isnan(values).all(axis=1), 0] = 0.5
    return spec, values


@settings(max_examples=40, deadline=None)
@given(case=cases(), models=st.integers(1, 3), seed=st.integers(0, 99), batch=st.integers(1, 300))
def test_scores_equal_rivers_bit_for_bit(
    case: tuple[ForestSpec, Float64Array], models: int, seed: int, batch: int
) -> None:
    spec, values = case
    rows = np.random.default_rng(seed).integers(0, models, len(values))
    bank = RiverBank(spec, models)
    scores = np.concatenate(
        [
            bank.step(rows[start : start + batch], rows[start : start + batch], values[start : start + batch]).score
            for start in range(0, len(rows), batch)
        ]
    )
    for row in range(models):
        model = MinMaxScaler() | HalfSpaceTrees(
            n_trees=spec.trees, height=spec.height, window_size=spec.window, seed=spec.seed
        )
        assert scores[rows == row].tolist() == as_river_does(model, values[rows == row])


@settings(max_examples=25, deadline=None)
@given(case=cases(), share=st.floats(0, 1))
def test_an_exported_model_goes_on_alike(case: tuple[ForestSpec, Float64Array], share: float) -> None:
    spec, values = case
    cut = 1 + int(share * (len(values) - 1))
    bank = RiverBank(spec, 1)
    bank.step(np.zeros(cut, np.int64), np.arange(cut), values[:cut])
    model = bank.export(0, NAMES[: spec.features])
    rest = np.zeros(len(values) - cut, np.int64)
    assert bank.step(rest, rest, values[cut:]).score.tolist() == as_river_does(model, values[cut:])


def test_export_wants_the_names_in_rivers_order_and_a_model_that_has_seen_something() -> None:
    bank = RiverBank(ForestSpec(kind="river", features=2, seed=1, trees=2, height=3, window=8), 1)
    with pytest.raises(ValueError, match="seen nothing"):
        bank.export(0, ["a", "b"])
    bank.step(np.zeros(1, np.int64), np.zeros(1, np.int64), np.ones((1, 2)))
    with pytest.raises(ValueError, match="sorted"):
        bank.export(0, ["b", "a"])
