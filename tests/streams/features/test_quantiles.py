from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.features.columns import Input
from streams.features.quantiles import MOST_BUCKETS, Histograms, QuantileColumn

COLUMN = QuantileColumn(Input("v"))
PERCENTS = (0.0, 1.0, 25.0, 50.0, 95.0, 99.0, 100.0)
DOUBLES = st.floats(allow_nan=False, allow_infinity=False)
ROWS = st.lists(st.tuples(st.integers(0, 2), DOUBLES), max_size=40)
Float64Array = npt.NDArray[np.float64]


def folded(values: Float64Array, rows: npt.NDArray[np.int64] | None = None, size: int = 1) -> Histograms:
    histograms = COLUMN.empty(size)
    COLUMN.fold(histograms, np.zeros(len(values), np.int64) if rows is None else rows, values)
    return histograms


def percentiles(histograms: Histograms, row: int = 0) -> list[float]:
    return [float(COLUMN.percentiles(histograms, percent)[row]) for percent in PERCENTS]


@given(ROWS)
def test_few_values_are_exact(values: list[tuple[int, float]]) -> None:
    rows = np.array([row for row, _ in values], np.int64)
    numbers = np.array([number for _, number in values], np.float64)
    histograms = folded(numbers, rows, 3)
    for row in range(3):
        mine = numbers[rows == row]
        if not len(mine):
            assert np.isnan(percentiles(histograms, row)).all()
            continue
        ordered = np.sort(mine)
        for percent, found in zip(PERCENTS, percentiles(histograms, row), strict=True):
            rank = percent / 100 * (len(mine) - 1)
            low, high = ordered[int(np.floor(rank))], ordered[int(np.ceil(rank))]
            assert found == pytest.approx(np.clip(found, low, high), rel=1e-15)


def test_interpolation_is_that_of_numpy() -> None:
    values = np.array([3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0, 6.0])
    assert percentiles(folded(values)) == pytest.approx(np.percentile(values, PERCENTS))


@given(ROWS)
def test_median_absolute_deviations_of_few_values_are_exact(values: list[tuple[int, float]]) -> None:
    rows = np.array([row for row, _ in values], np.int64)
    numbers = np.array([number / 4 for _, number in values], np.float64)
    found = COLUMN.median_absolute_deviations(folded(numbers, rows, 3))
    for row in range(3):
        mine = numbers[rows == row]
        wanted = np.median(np.abs(mine - np.median(mine))) if len(mine) else np.nan
        scale = np.abs(mine).max(initial=0.0)
        assert found[row] == pytest.approx(wanted, rel=1e-9, abs=1e-12 * scale, nan_ok=True)


@pytest.mark.parametrize(("decades", "error"), [(1, 0.0042), (3, 0.011), (9, 0.031)])
def test_many_values_are_within_the_error_that_is_stated(decades: int, error: float) -> None:
    values = 10 ** np.random.default_rng(3).uniform(-1, decades - 1, 50_000)
    assert percentiles(folded(values)) == pytest.approx(np.percentile(values, PERCENTS), rel=error)


def test_negative_values_and_those_of_any_size() -> None:
    dice = np.random.default_rng(4)
    values = dice.normal(size=20_000) * 10 ** dice.uniform(-300, 300, 20_000)
    histograms = folded(values)
    assert len(histograms.settle().keys) <= MOST_BUCKETS
    found = percentiles(histograms)
    assert np.isfinite(found).all()
    assert all(one <= next_ for one, next_ in pairwise(found))
    assert found[0] < 0 < found[-1]


@settings(max_examples=30)
@given(st.integers(0, 2**32), st.sets(st.integers(1, 4_999), max_size=4).map(sorted), st.integers(1, 3))
def test_nothing_but_the_values_counts(seed: int, cuts: list[int], sources: int) -> None:
    dice = np.random.default_rng(seed)
    values, rows = dice.lognormal(3, 2, 5_000).round(2), dice.integers(0, 2, 5_000)
    whole = COLUMN.to_bytes(folded(values, rows, 2))
    order = dice.permutation(5_000)
    parts = [COLUMN.empty(2) for _ in range(sources)]
    for number, (start, stop) in enumerate(pairwise([0, *cuts, 5_000])):
        at = number % sources
        COLUMN.fold(parts[at], rows[order[start:stop]], values[order[start:stop]])
        parts[at] = COLUMN.from_bytes(COLUMN.to_bytes(parts[at]))
    merged = COLUMN.merged(2, [(np.arange(2), part) for part in parts])
    assert COLUMN.to_bytes(merged) == whole


def test_rows_are_taken_extended_and_joined() -> None:
    histograms = folded(np.array([1.0, 2.0, 3.0, np.nan]), np.array([0, 2, 2, 1]), 3)
    histograms = COLUMN.extended(histograms, 4)
    COLUMN.fold(histograms, np.array([3]), np.array([7.0]))

    def medians(of: Histograms) -> list[float | None]:
        return [None if np.isnan(value) else float(value) for value in COLUMN.percentiles(of, 50)]

    assert medians(histograms) == [1.0, None, 2.5, 7.0]
    assert medians(COLUMN.taken(histograms, np.array([3, 1, 2]))) == [7.0, None, 2.5]
    data = COLUMN.to_bytes(histograms)
    assert medians(COLUMN.from_bytes(data + data)) == [1.0, None, 2.5, 7.0] * 2
    assert COLUMN.sizes(data).sum() == len(data)


def test_a_row_never_takes_more_than_it_says() -> None:
    histograms = folded(np.random.default_rng(1).lognormal(size=200_000))
    assert len(COLUMN.to_bytes(histograms)) <= 16 * 1024 + 8
