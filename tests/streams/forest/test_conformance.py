"""What every kind of model must hold, whatever it is made of."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.forest import ForestBank, ForestSpec, Imputation, Steps, WrongRecord, kernel, open_bank
from streams.forest.arrays import Float64Array, Int64Array

MINUTE = 60_000
KINDS: dict[str, dict[str, Any]] = {
    "default": {"type": "default"},
    "default without season": {"type": "default", "seasonality": False},
    "default with few trees": {"type": "default", "trees": 3, "height": 4, "window": 128},
    "river": {"type": "river", "window": 60, "trees": 4, "height": 5},
    "river with a long window": {"type": "river", "window": 300, "trees": 2, "height": 9},
}
every_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())


@pytest.fixture(scope="module", params=["numpy", "compiled"], autouse=True)
def chosen_kernel(request: pytest.FixtureRequest) -> Iterator[None]:
    """Every test of this file runs on both kernels."""
    try:
        kernel.choose(request.param)
    except kernel.KernelUnavailable as unavailable:
        pytest.skip(str(unavailable))
    yield
    kernel.choose("auto")


def bank_of(kind: dict[str, Any], features: int = 1, capacity: int = 3, **more: Any) -> ForestBank:
    return open_bank(ForestSpec.from_document(kind, features=features, seed=5, **more), capacity)


def series(n: int, features: int = 1, seed: int = 0, missing: float = 0.0) -> Float64Array:
    source = np.random.default_rng(seed)
    values = source.normal(50, 5, (n, features)) + 10 * np.sin(np.arange(n) / 40)[:, None]
    values[n // 2] += 100
    values[source.random((n, features)) < missing] = np.nan
    return values


def run(bank: ForestBank, values: Float64Array, row: int = 0, first: int = 0) -> Steps:
    rows = np.full(len(values), row)
    return bank.step(rows, (first + np.arange(1, len(values) + 1)) * MINUTE, values)


def assert_same(one: Steps, other: Steps) -> None:
    for name in ("score", "threshold", "grade", "confidence", "imputed", "incident"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)
    np.testing.assert_array_equal(one.values[one.imputed], other.values[other.imputed])
    assert one.explanations.keys() == other.explanations.keys()
    for event, explanation in one.explanations.items():
        np.testing.assert_array_equal(explanation.attribution, other.explanations[event].attribution)
        np.testing.assert_array_equal(explanation.expected, other.explanations[event].expected)
        assert explanation.likelihood == other.explanations[event].likelihood


def joined(parts: list[Steps], places: list[Int64Array], n: int) -> Steps:
    """The outcome of several calls as if it were one; ``places`` are where each call's events stood."""
    features = parts[0].imputed.shape[1]
    whole = Steps(
        np.zeros(n),
        np.zeros(n),
        np.zeros(n),
        np.zeros(n),
        np.zeros((n, features), np.bool_),
        np.zeros((n, features)),
        np.zeros((n, 3), np.int64),
        np.zeros(n, np.bool_),
        np.zeros((n, features)),
        np.zeros((n, features)),
    )
    for part, place in zip(parts, places, strict=True):
        for name in (
            "score",
            "threshold",
            "grade",
            "confidence",
            "imputed",
            "values",
            "incident",
            "learning",
            "expected",
            "spread",
        ):
            getattr(whole, name)[place] = getattr(part, name)
        whole.explanations.update({int(place[event]): text for event, text in part.explanations.items()})
    return whole


@every_kind
@settings(max_examples=12, deadline=None)
@given(
    cuts=st.lists(st.integers(1, 399), max_size=12),
    seed=st.integers(0, 1000),
    missing=st.sampled_from([0.0, 0.2]),
    features=st.integers(1, 3),
)
def test_outcome_does_not_depend_on_how_events_are_cut(
    kind: dict[str, Any], cuts: list[int], seed: int, missing: float, features: int
) -> None:
    n = 700
    values = series(n, features, seed, missing)
    rows = np.random.default_rng(seed).choice(3, n, p=[0.8, 0.15, 0.05])
    ends = np.arange(1, n + 1) * MINUTE
    whole = bank_of(kind, features).step(rows, ends, values)
    bank = bank_of(kind, features)
    bounds = [0, *sorted(set(cuts)), n]
    places = [np.arange(a, b) for a, b in pairwise(bounds)]
    parts = [bank.step(rows[place], ends[place], values[place]) for place in places]
    assert_same(joined(parts, places, n), whole)


@every_kind
@settings(max_examples=10, deadline=None)
@given(moment=st.integers(0, 500), features=st.integers(1, 2))
def test_a_dumped_model_goes_on_as_if_nothing_had_happened(kind: dict[str, Any], moment: int, features: int) -> None:
    values = series(700, features, missing=0.1)
    bank, other = bank_of(kind, features), bank_of(kind, features)
    run(bank, values[:moment])
    run(other, series(77, features, seed=9), row=2)
    states = bank.dump(np.array([0]))
    other.load(np.array([2]), states)
    assert other.dump(np.array([2])) == states
    assert other.seen(np.array([2])) == bank.seen(np.array([0]))
    assert_same(run(other, values[moment:], row=2, first=moment), run(bank, values[moment:], first=moment))


@every_kind
def test_growing_and_resetting_leave_the_other_models_alone(kind: dict[str, Any]) -> None:
    values = series(500)
    bank, untouched = bank_of(kind), bank_of(kind)
    run(bank, values[:400], row=1)
    run(bank, values[:300], row=0)
    bank.grow(50)
    bank.reset(np.array([0]))
    run(untouched, values[:400], row=1)
    assert bank.capacity == 50
    assert bank.seen(np.array([0, 1, 49])).tolist() == [0, 400, 0]
    assert_same(run(bank, values[400:], row=1, first=400), run(untouched, values[400:], row=1, first=400))
    assert bank.dump(np.array([0])) == bank_of(kind).dump(np.array([0]))


@every_kind
@pytest.mark.parametrize("rows", [250, 256])
def test_growing_resetting_and_loading_right_after_a_chapter(kind: dict[str, Any], rows: int) -> None:
    values = series(500)
    other, whole = bank_of(kind), bank_of(kind)
    run(other, values[:77])
    run(whole, values[:rows])
    (unseen,), (young,), (old,) = (bank.dump(np.array([0])) for bank in (bank_of(kind), other, whole))
    changes: list[tuple[Callable[[ForestBank], None], bytes]] = [
        (lambda bank: bank.grow(4), old),
        (lambda bank: bank.reset(np.array([1])), unseen),
        (lambda bank: bank.load(np.array([1]), [young]), young),
    ]
    for change, changed in changes:
        bank = bank_of(kind)
        run(bank, values[:rows])
        run(bank, values[:rows], row=1)
        change(bank)
        assert bank.dump(np.array([0, 1])) == [old, changed]


@every_kind
def test_no_grade_before_a_model_has_warmed_up(kind: dict[str, Any]) -> None:
    values = series(32)
    values[20] = 1e9
    steps = run(bank_of(kind), values)
    assert not steps.score.any()
    assert not steps.grade.any()
    assert not steps.confidence.any()


@every_kind
def test_an_outlier_is_found_and_explained(kind: dict[str, Any]) -> None:
    source = np.random.default_rng(0)
    if kind["type"] == "river":
        # River can't tell a new extreme from the old one: it finds what falls into a gap.
        kind = {"type": "river", "window": 100, "trees": 20, "height": 6}
        values = (source.choice([0.0, 100.0], 2000) + source.normal(0, 1, 2000))[:, None]
        values[1900] = 50.0
    else:
        values = source.normal(50, 5, (2000, 2))
        values[1900, 1] = 110.0
    features = values.shape[1]
    steps = run(bank_of(kind, features), values)
    assert steps.grade[1900] > 0
    assert set(steps.explanations) == set(np.flatnonzero(steps.grade))
    explanation = steps.explanations[1900]
    assert explanation.attribution.sum() == pytest.approx(1)
    assert 0 < explanation.likelihood <= 1
    assert explanation.attribution[-1] > 0.8
    assert abs(explanation.expected[-1] - 50) < 15


@every_kind
@pytest.mark.parametrize(
    "values",
    [
        np.zeros(700),
        np.full(700, 0.1),
        np.full(700, 1e300),
        np.repeat([3.0, 4.0], 350),
        np.random.default_rng(0).poisson(0.1, 700).astype(float),
        1e15 + np.random.default_rng(0).integers(0, 3, 700),
        np.random.default_rng(0).normal(0, 1e-200, 700),
        np.random.default_rng(0).standard_cauchy(700) * 1e12,
        np.random.default_rng(0).choice([1.7e308, -1.7e308], 700),
        np.cumsum(np.random.default_rng(0).random(700) * 1e6),
    ],
    ids=["zero", "constant", "huge constant", "step", "counts", "offset", "tiny", "heavy", "extreme", "counter"],
)
def test_any_numbers_give_finite_answers(kind: dict[str, Any], values: Float64Array) -> None:
    bank = bank_of(kind)
    steps = run(bank, values[:, None])
    for outcome in (steps.score, steps.threshold, steps.grade, steps.confidence):
        assert np.isfinite(outcome).all()
    assert (steps.score >= 0).all()
    assert ((steps.grade >= 0) & (steps.grade <= 1)).all()
    assert ((steps.confidence >= 0) & (steps.confidence <= 1)).all()


@every_kind
def test_a_constant_never_alarms(kind: dict[str, Any]) -> None:
    assert not run(bank_of(kind), np.full((1500, 1), 0.1)).grade.any()


@every_kind
def test_infinite_and_missing_values_are_never_learned(kind: dict[str, Any]) -> None:
    values = series(700, 2)
    holes = values.copy()
    holes[::7, 1] = np.nan
    infinite = values.copy()
    infinite[::7, 1] = np.inf
    assert_same(run(bank_of(kind, 2), infinite), run(bank_of(kind, 2), holes))
    bank = bank_of(kind, 2)
    empty = np.insert(holes, 350, np.nan, axis=0)
    steps = run(bank, empty)
    assert steps.score[350] == steps.grade[350] == 0
    assert bank.seen(np.array([0])) == 700


@every_kind
def test_the_same_seed_gives_the_same_scores_and_another_one_others(kind: dict[str, Any]) -> None:
    values = series(700)
    assert_same(run(bank_of(kind), values), run(bank_of(kind), values))
    other = open_bank(ForestSpec.from_document(kind, features=1, seed=6), 1)
    assert (run(other, values).score != run(bank_of(kind), values).score).any()


@every_kind
def test_foreign_and_broken_records_are_refused_and_change_nothing(kind: dict[str, Any]) -> None:
    bank = bank_of(kind, 2)
    run(bank, series(500, 2))
    (state,) = bank.dump(np.array([0]))
    foreign = [
        open_bank(ForestSpec.from_document(kind, features=2, seed=6), 1),
        open_bank(ForestSpec.from_document(kind, features=3, seed=5), 1),
        open_bank(ForestSpec.from_document({**kind, "height": 3}, features=2, seed=5), 1),
        open_bank(ForestSpec.from_document({**kind, "window": 200}, features=2, seed=5), 1),
        bank_of(KINDS["river" if kind["type"] == "default" else "default"], 2),
    ]
    broken = [b"", b"RF", state[:-1], state + b"\0", b"XX" + state[2:], state[:2] + b"\x63" + state[3:]]
    for record in [*(other.dump(np.array([0]))[0] for other in foreign), *broken]:
        with pytest.raises(WrongRecord):
            bank.load(np.array([1, 0]), [state, record])
    assert bank.dump(np.array([0])) == [state]
    assert bank.seen(np.array([1])) == 0


@every_kind
def test_missing_windows_are_filled_in_as_asked(kind: dict[str, Any]) -> None:
    values = series(400, 2)
    values[100:110] = np.nan
    values[200, 0] = np.nan
    for imputation, fill in (
        (Imputation("ZERO"), 0.0),
        (Imputation("FIXED_VALUES", (7.0, 7.0)), 7.0),
        (Imputation("PREVIOUS"), None),
    ):
        filled = values.copy()
        filled[100:110] = values[99] if fill is None else fill
        filled[200, 0] = values[199, 0] if fill is None else fill
        steps = run(bank_of(kind, 2, imputation=imputation), values)
        plain = run(bank_of(kind, 2), filled)
        np.testing.assert_array_equal(steps.score, plain.score)
        np.testing.assert_array_equal(steps.imputed, np.isnan(values))
        np.testing.assert_array_equal(steps.values, filled)
        assert (steps.confidence <= plain.confidence).all()


@every_kind
def test_a_feature_that_appears_later_is_no_anomaly(kind: dict[str, Any]) -> None:
    values = series(1500, 2)
    values[750] = values[749]
    values[:600, 1] = np.nan
    steps = run(bank_of(kind, 2), values)
    assert not steps.grade[600:650].any()


def test_memory_of_a_default_model() -> None:
    bank = bank_of({"type": "default"}, interval=60)
    assert bank.bytes_per_model <= 6000
    run(bank, series(5000))
    assert len(bank.dump(np.array([0]))[0]) <= 4000
