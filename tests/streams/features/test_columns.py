from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.features.columns import Input, Kind, NumberColumn

NUMBERS = st.floats(allow_nan=False, allow_infinity=False, width=32)
VALUES = st.lists(st.tuples(st.integers(0, 2), NUMBERS | st.just(float("nan"))), max_size=30)
KINDS: list[Kind] = ["count", "sum", "min", "max"]


def folded(kind: Kind, values: list[tuple[int, float]]) -> np.ndarray:
    column = NumberColumn(kind, Input("v"))
    accumulators = column.empty(3)
    places = np.array([place for place, _ in values], np.int64)
    column.fold(accumulators, places, np.array([value for _, value in values]))
    return accumulators


@pytest.mark.parametrize("kind", KINDS)
@given(values=VALUES)
def test_a_fold_is_what_python_finds(kind: Kind, values: list[tuple[int, float]]) -> None:
    found = folded(kind, values)
    for place in range(3):
        known = [value for at, value in values if at == place and value == value]
        total = 0.0
        for value in known:
            total += value
        wanted = {
            "count": float(len(known)),
            "sum": total,
            "min": min(known, default=float("inf")),
            "max": max(known, default=float("-inf")),
        }
        assert found[place] == wanted[kind]


@pytest.mark.parametrize("kind", KINDS)
@given(one=VALUES, other=VALUES)
def test_merging_two_sources_is_folding_both(
    kind: Kind, one: list[tuple[int, float]], other: list[tuple[int, float]]
) -> None:
    column, rows = NumberColumn(kind, Input("v")), np.arange(3)
    merged = column.merged(3, [(rows, folded(kind, one)), (rows, folded(kind, other))])
    assert merged == pytest.approx(folded(kind, one + other), rel=1e-9, abs=1e30 * 1e-9)


@pytest.mark.parametrize("kind", KINDS)
@given(values=VALUES)
def test_bytes_come_back_bit_for_bit(kind: Kind, values: list[tuple[int, float]]) -> None:
    column, accumulators = NumberColumn(kind, Input("v")), folded(kind, values)
    assert column.from_bytes(column.to_bytes(accumulators)).tobytes() == accumulators.tobytes()


def test_presence_counts_what_is_there() -> None:
    column = NumberColumn("count", Input("v", "presence"))
    accumulators = column.empty(1)
    column.fold(accumulators, np.zeros(3, np.int64), np.array([1.0, np.nan, 1.0]))
    assert accumulators.tolist() == [2.0]
