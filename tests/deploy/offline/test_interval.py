"""The interval that is found, and which last window is over."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.offline.interval import INTERVALS, complete_until, interval_of, usual_gap

HOUR = 3_600_000


def test_the_gap_is_that_of_an_entitys_rows_and_repeated_times_are_none() -> None:
    times = np.array([0, 1, 60, 61, 60, 120, 121])
    assert usual_gap(times, np.array([0, 1, 0, 1, 0, 0, 1])) == 60
    assert usual_gap(times[:2], np.array([0, 1])) is None


@given(st.integers(1, 40 * HOUR))
def test_the_interval_is_one_of_those_and_holds_the_gap(gap: int) -> None:
    interval = interval_of(gap)
    assert interval in INTERVALS
    assert interval >= 0.99 * gap or interval == INTERVALS[-1]


@pytest.mark.parametrize(
    ("newest", "gap", "until"),
    [
        (3_540_000, 60_000, HOUR),
        (3_539_500, 59_999.0, HOUR),
        (3_480_000, 60_000, 0),
        (HOUR, 60_000, HOUR),
        (10 * HOUR + 5, None, 10 * HOUR),
        (10 * HOUR, HOUR, 11 * HOUR),
    ],
)
def test_a_window_is_over_when_no_other_row_was_to_be_expected(newest: int, gap: float | None, until: int) -> None:
    assert complete_until(newest, gap, HOUR) == until
