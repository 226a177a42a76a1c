"""The compiled kernel gives what NumPy gives: every number and every byte."""

from __future__ import annotations

from dataclasses import fields
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.forest import ForestSpec, Imputation
from streams.forest.arrays import Float64Array
from streams.forest.bank import Steps
from streams.forest.compiled import CompiledBank, arrays_of, configured
from streams.forest.engine import DefaultBank
from streams.forest.kernel import compiled, why_not_compiled
from streams.forest.models import COLUMNS, FAMILIES
from streams.forest.season import Day
from streams.forest.suppression import Condition

try:
    compiled()
except ImportError as absent:
    pytest.skip(f"no compiled kernel here: {absent}", allow_module_level=True)

MINUTE = 60_000
OUTCOMES = [entry.name for entry in fields(Steps) if entry.name != "explanations"]


def normal(source: np.random.Generator, n: int, d: int) -> Float64Array:
    values = source.normal(50, 5, (n, d)) + 10 * np.sin(np.arange(n) / 40)[:, None]
    values[source.random(n) < 0.01] += 60
    return values


def shifting(source: np.random.Generator, n: int, d: int) -> Float64Array:
    values = source.normal(0, 1, (n, d))
    values[n // 2 :] += 30
    return values


def heavy(source: np.random.Generator, n: int, d: int) -> Float64Array:
    return source.standard_cauchy((n, d)) * 1e12


def counts(source: np.random.Generator, n: int, d: int) -> Float64Array:
    return source.poisson(0.3, (n, d)).astype(float)


def counter(source: np.random.Generator, n: int, d: int) -> Float64Array:
    return 1e9 + np.cumsum(source.random((n, d)) * 1e6, axis=0)


def extreme(source: np.random.Generator, n: int, d: int) -> Float64Array:
    return source.choice([1.7e308, -1.7e308, 0.0, 1e-200, 7.0, np.inf], (n, d))


def constant(source: np.random.Generator, n: int, d: int) -> Float64Array:
    return np.full((n, d), -0.1)


SERIES = (normal, shifting, heavy, counts, counter, extreme, constant)
specs = st.builds(
    ForestSpec,
    features=st.integers(1, 10),
    seed=st.integers(0, 3),
    trees=st.sampled_from([1, 3, 25]),
    height=st.sampled_from([1, 4, 6]),
    window=st.sampled_from([128, 130, 250, 300]),
    quiet_period=st.sampled_from([0, 100]),
    sensitivity=st.sampled_from([0.5, 3.0]),
    seasonality=st.booleans(),
    interval=st.sampled_from([1, 60, 420, 3600, 86_400]),
    time_zone=st.sampled_from(["UTC", "Europe/Berlin"]),
    imputation=st.sampled_from([None, Imputation("ZERO"), Imputation("PREVIOUS")]),
    rules=st.sampled_from([(), ((Condition(0, "ACTUAL_IS_OVER_EXPECTED"),),)]),
)


def outcome(steps: Steps) -> list[Any]:
    """All that a call gave, as bytes."""
    explanations = [
        (event, one.attribution.tobytes(), one.expected.tobytes(), one.likelihood)
        for event, one in sorted(steps.explanations.items())
    ]
    return [explanations, *(getattr(steps, name).tobytes() for name in OUTCOMES)]


def test_it_is_built_from_the_sources_that_lie_here() -> None:
    assert why_not_compiled() == ""


@settings(max_examples=40, deadline=None)
@given(
    spec=specs,
    series=st.sampled_from(SERIES),
    seed=st.integers(0, 1000),
    missing=st.sampled_from([0.0, 0.02, 0.4]),
    skew=st.sampled_from([1.0, 0.6]),
    interval=st.sampled_from([1, 7, 60, 500]),
    cuts=st.lists(st.integers(1, 899), max_size=6),
)
def test_every_number_and_checkpoint_is_numpys(
    spec: ForestSpec, series: Any, seed: int, missing: float, skew: float, interval: int, cuts: list[int]
) -> None:
    n = 900
    source = np.random.default_rng(seed)
    values = series(source, n, spec.features)
    values[source.random(values.shape) < missing] = np.nan
    rows = source.choice(3, n, p=[skew, 0.75 * (1 - skew), 0.25 * (1 - skew)])
    ends = np.arange(1, n + 1) * interval * MINUTE
    numpy, compiled = DefaultBank(spec, 3), CompiledBank(spec, 3)
    for start, stop in pairwise([0, *sorted(set(cuts)), n]):
        part = slice(start, stop)
        expected = outcome(numpy.step(rows[part], ends[part], values[part]))
        assert outcome(compiled.step(rows[part], ends[part], values[part])) == expected
        assert compiled.dump(np.arange(3)) == numpy.dump(np.arange(3))


def test_models_move_between_the_kernels() -> None:
    spec = ForestSpec(features=2, seed=1)
    values = normal(np.random.default_rng(0), 700, 2)
    rows, ends = np.zeros(700, np.int64), np.arange(1, 701) * MINUTE
    numpy, compiled = DefaultBank(spec, 1), CompiledBank(spec, 1)
    numpy.step(rows[:333], ends[:333], values[:333])
    compiled.load(np.array([0]), numpy.dump(np.array([0])))
    rest = slice(333, None)
    assert outcome(compiled.step(rows[rest], ends[rest], values[rest])) == outcome(
        numpy.step(rows[rest], ends[rest], values[rest])
    )


def test_what_does_not_fit_is_refused() -> None:
    kernel = configured()
    bank = CompiledBank(ForestSpec(features=1, seed=1), 2)
    models = arrays_of(bank._models, Day.of(60))
    one, two, mark = np.zeros(1, np.int64), np.array([[1.0]]), np.zeros(1, np.uint16)
    columns, numbers = np.zeros((1, 1, COLUMNS)), [np.zeros((1, 1)) for _ in range(3)]
    with pytest.raises(IndexError):
        kernel.see(models, np.array([2]), two, mark, columns, *numbers)
    with pytest.raises(ValueError, match="does not fit"):
        kernel.see(models, one, np.zeros((2, 1)), mark, columns, *numbers)
    with pytest.raises(ValueError, match="don't fit each other"):
        kernel.see((*models[:-2], np.zeros(1, np.int64), models[-1]), one, two, mark, columns, *numbers)
    with pytest.raises(ValueError, match="don't fit each other"):
        kernel.see((*models[:-1], np.array([1440, 90, 48])), one, two, mark, columns, *numbers)
    with pytest.raises(IndexError):
        kernel.remember(models, one, np.array([200]), mark, two, np.zeros(1))
    with pytest.raises(IndexError):
        kernel.look_back(models, one, one, np.array([200]), np.zeros((1, 125, len(FAMILIES))))
    with pytest.raises(IndexError):
        kernel.rewind(models, one, np.array([-1]))
    assert np.isnan(bank._models.recent).all()


def test_a_damaged_record_does_no_more_than_score_wrongly() -> None:
    bank = CompiledBank(ForestSpec(features=1, seed=1), 1)
    values = normal(np.random.default_rng(0), 1000, 1)
    rows, ends = np.zeros(1000, np.int64), np.arange(1, 1001) * MINUTE
    bank.step(rows[:300], ends[:300], values[:300])
    bank._models.marks[:] = 0x7FFF
    bank._models.neutral[:] = 30_000
    bank._models.runs[:] = 2**31 - 1
    values[300:400] = np.nan
    values[::3] = np.nan
    values[500:600] = values[500]
    steps = bank.step(rows[300:], ends[300:], values[300:])
    assert np.isfinite(steps.score).all()
