"""The ``model`` member and ``imputation_option`` of a detector document."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.errors import Refused
from streams.forest import ForestSpec, Imputation


def test_nothing_said_means_the_defaults() -> None:
    spec = ForestSpec.from_document(None, features=2, seed=9)
    assert spec == ForestSpec(features=2, seed=9)
    assert hash(spec) == hash(ForestSpec.from_document({"type": "default"}, features=2, seed=9))


def test_what_is_said_counts() -> None:
    assert ForestSpec.from_document({"time_zone": "Asia/Kolkata"}, features=1, seed=9).time_zone == "Asia/Kolkata"
    member = {"type": "river", "seed": 3, "trees": 5, "height": 10, "window": 300, "quiet_period": 7}
    spec = ForestSpec.from_document(member, features=1, seed=9)
    assert (spec.kind, spec.seed, spec.trees, spec.height, spec.window, spec.quiet_period) == (
        *("river", 3, 5, 10, 300, 7),
    )


@pytest.mark.parametrize(
    "member",
    [
        {"type": "forest"},
        {"trees": 0},
        {"trees": True},
        {"height": 7},
        {"window": 100},
        {"window": 251},
        {"sensitivity": 0},
        {"sensitivity": "high"},
        {"seasonality": 1},
        {"quiet_period": -1},
        {"seed": -1},
        {"time_zone": "Mars/Olympus"},
        {"time_zone": 1},
        {"tree": 5},
        [],
    ],
)
def test_what_cannot_be_used_is_refused(member: Any) -> None:
    with pytest.raises(Refused, match=r"^model") as refused:
        ForestSpec.from_document(member, features=1, seed=9)
    assert refused.value.status == 400


def test_a_model_takes_ten_features_at_most() -> None:
    ForestSpec.from_document(None, features=10, seed=9)
    with pytest.raises(Refused, match="10 features"):
        ForestSpec.from_document(None, features=11, seed=9)


def test_imputation_options() -> None:
    names = ["a", "b"]
    fill = [{"feature_name": "b", "data": 2}, {"feature_name": "a", "data": 1}]
    assert Imputation.from_document(None, names) is None
    assert Imputation.from_document({"method": "PREVIOUS"}, names) == Imputation("PREVIOUS")
    option = {"method": "FIXED_VALUES", "default_fill": fill}
    assert Imputation.from_document(option, names) == Imputation("FIXED_VALUES", (1.0, 2.0))


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"method": "MEAN"}, "must be one of"),
        ({"method": "FIXED_VALUES"}, "no default fill values are provided"),
        ({"method": "FIXED_VALUES", "default_fill": [{"feature_name": "a", "data": 1}]}, "values: 1. Number of enab"),
        (
            {"method": "FIXED_VALUES", "default_fill": [{"feature_name": n, "data": 1} for n in "ac"]},
            "Missing feature name: b",
        ),
    ],
)
def test_imputation_options_that_are_refused(option: dict[str, Any], message: str) -> None:
    with pytest.raises(Refused, match=message):
        Imputation.from_document(option, ["a", "b"])
