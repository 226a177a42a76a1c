from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from streams.features.columns import Input
from streams.features.distinct import DistinctColumn, Sketches

COLUMN = DistinctColumn(Input("v", reads="hash"))


def hashes(start: int, stop: int) -> npt.NDArray[np.float64]:
    return np.random.default_rng(5).integers(0, 2**52, stop)[start:].astype(np.float64)


def sketch(start: int, stop: int) -> Sketches:
    sketches = COLUMN.empty(1)
    values = hashes(start, stop)
    COLUMN.fold(sketches, np.zeros(len(values), np.int64), values)
    return sketches


@pytest.mark.parametrize("count", [1, 10, 300])
def test_few_are_counted_exactly(count: int) -> None:
    assert COLUMN.estimates(sketch(0, count)).tolist() == [count]


@pytest.mark.parametrize("count", [1_000, 20_000, 200_000])
def test_many_are_counted_within_the_error_that_is_stated(count: int) -> None:
    assert COLUMN.estimates(sketch(0, count))[0] == pytest.approx(count, rel=3 * 0.013)


@pytest.mark.parametrize("count", [100, 1_000, 50_000])
def test_sources_with_common_values_are_merged(count: int) -> None:
    one, other = sketch(0, count), sketch(count // 2, count + count // 2)
    row = np.zeros(1, np.int64)
    merged = COLUMN.merged(1, [(row, one), (row, other)])
    assert COLUMN.estimates(merged)[0] == pytest.approx(1.5 * count, rel=3 * 0.016)


@pytest.mark.parametrize("count", [0, 3, 100, 1_000, 50_000])
def test_bytes_come_back_and_go_on_as_before(count: int) -> None:
    one = sketch(0, count)
    again = COLUMN.from_bytes(COLUMN.to_bytes(one))
    more = hashes(count, count + 5_000)
    for sketches in (one, again):
        COLUMN.fold(sketches, np.zeros(len(more), np.int64), more)
    assert COLUMN.estimates(one).tolist() == COLUMN.estimates(again).tolist()
    assert len(COLUMN.to_bytes(one)) < 2_200


def test_rows_are_taken_extended_and_joined() -> None:
    sketches = COLUMN.empty(3)
    COLUMN.fold(sketches, np.array([0, 2, 2, 1]), np.array([1.0, 2.0, 3.0, np.nan]))
    sketches = COLUMN.extended(sketches, 4)
    # Row 1 has had a record without a value, row 3 none at all.
    assert COLUMN.estimates(COLUMN.taken(sketches, np.array([2, 1, 0]))).tolist() == [2, 0, 1]
    assert np.isnan(COLUMN.estimates(COLUMN.taken(sketches, np.array([3])))).all()
    joined = COLUMN.estimates(COLUMN.from_bytes(COLUMN.to_bytes(sketches) + COLUMN.to_bytes(sketches)))
    assert joined == pytest.approx([1, 0, 2, np.nan] * 2, nan_ok=True)
    assert COLUMN.sizes(COLUMN.to_bytes(sketches)).sum() == len(COLUMN.to_bytes(sketches))
