"""The windows, results and counts of a file."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import Refused
from tests.deploy.offline.rows import NOON, encoded, file_run, results, windows

MINUTE = 60_000


def test_windows_hold_what_the_features_say() -> None:
    rows = encoded(
        {"t": NOON, "x": 1.0},
        {"t": NOON + 59_999, "x": "3"},
        {"t": NOON + MINUTE, "x": None},
        {"t": "never", "x": 9.0},
        {"t": NOON + 2 * MINUTE, "x": 5.0},
    )
    run = file_run(rows, [f"{kind}:x" for kind in ("avg", "sum", "min", "max", "count")])
    assert run.plan.interval_ms == MINUTE
    found = windows(run)
    assert found[NOON + MINUTE, ""] == {"avg_x": 2, "sum_x": 4, "min_x": 1, "max_x": 3, "count_x": 2}
    assert found[NOON + 2 * MINUTE, ""] == {"sum_x": 0, "count_x": 0}  # as a worker: a record without a value
    assert found[NOON + 3 * MINUTE, ""]["avg_x"] == 5
    assert (run.counts.read, run.counts.used, run.counts.empty) == (5, 4, 1)
    assert run.counts.unusable == {"bad-time": 1}
    assert run.counts.examples["bad-time"].endswith("(row 4)")


times = st.integers(0, 3600).map(lambda second: NOON + second * 1000)


@given(st.lists(st.tuples(times, st.sampled_from("ab"), st.integers(-100, 100)), min_size=1), st.randoms())
def test_rows_in_any_order_are_all_used_and_come_to_the_same_windows(
    rows: list[tuple[int, str, int]], dice: random.Random
) -> None:
    records = encoded(*({"t": time, "host": host, "x": value} for time, host, value in rows))
    shuffled = list(records)
    dice.shuffle(shuffled)
    features = ["sum:x", "max:x", "count:x"]
    one, other = (file_run(each, features, by=["host"], interval="1m") for each in (records, shuffled))
    found = windows(one)
    assert windows(other) == found
    for run in (one, other):
        assert (run.counts.read, run.counts.used, run.counts.late) == (len(rows), len(rows), 0)
    expected: dict[tuple[int, str], list[int]] = {}
    for time, host, value in rows:
        expected.setdefault(((time // MINUTE + 1) * MINUTE, host), []).append(value)
    # The last windows are left out where they may not be over.
    assert all(found[key]["sum_x"] == sum(expected[key]) for key in found)
    newest = max(time for time, _, _ in rows)
    assert found.keys() >= {key for key in expected if key[0] <= newest}


def test_the_last_window_counts_only_if_no_other_row_was_to_be_expected_in_it() -> None:
    rows = encoded(*({"t": NOON + 5 * MINUTE * row, "x": 1} for row in range(24)))  # the last one at 13:55
    assert [end for end, _ in windows(file_run(rows, ["sum:x"], interval="1h"))] == [NOON + 3_600_000, NOON + 7_200_000]
    assert [end for end, _ in windows(file_run(rows[:-1], ["sum:x"], interval="1h"))] == [NOON + 3_600_000]


def test_a_row_without_a_category_or_outside_of_the_filter_is_counted() -> None:
    rows = encoded({"t": NOON, "x": 1}, {"t": NOON, "x": 1, "host": "a"}, {"t": NOON, "x": 2, "host": "b"})
    run = file_run(rows, ["sum:x"], by=["host"], interval="1s", where="x:1")
    results(run)
    assert (run.counts.read, run.counts.used, run.counts.outside) == (3, 1, 2)


@pytest.mark.parametrize("factor", [0.001, 1, 1000, 1_000_000])
def test_times_that_are_numbers_are_read_in_the_unit_that_most_rows_tell(factor: float) -> None:
    rows = encoded(
        *({"t": int((NOON + second * 1000) * factor), "x": second} for second in range(20)), {"t": 80, "x": 1}
    )
    run = file_run(rows, ["avg:x"], interval="1s")
    assert list(windows(run))[-1] == (NOON + 20_000, "")
    assert run.counts.times[1] == NOON + 19_000


def test_many_models_and_rows_beyond_one_batch() -> None:
    rows = encoded(*({"t": NOON + 1000 * second, "host": f"h{n}", "x": n} for second in range(60) for n in range(400)))
    run = file_run(rows, ["avg:x"], by=["host"])
    found = windows(run)
    assert run.models == 400
    assert len(found) == 24_000
    assert all(math.isclose(values["avg_x"], float(host[1:])) for (_, host), values in found.items())


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"t": NOON}, "No row has a value of x: there are values of t"),
        ({"t": NOON, "x": {"y": 1}}, "No row has a value of x: there are values of t, x.y"),
        ({"t": NOON, "x": "much", "y": 1}, "x holds no number (it has 'much'): there are numbers in t, y"),
        ({"x": 1}, "No row has a value of t: there are values of x"),
        ({"t": 1_700_000, "x": 1}, "t 1700000 is no plausible time: the rows would be of 1970-01-01"),
    ],
)
def test_a_field_of_which_nothing_can_be_used_is_named(record: dict[str, object], message: str) -> None:
    with pytest.raises(Refused) as refused:
        file_run(encoded(record, record), ["avg:x"], interval="1s")
    assert message in refused.value.reason


def test_no_interval_can_be_found_where_no_entity_has_two_times() -> None:
    rows = encoded({"t": NOON, "x": 1, "host": "a"}, {"t": NOON + 5, "x": 1, "host": "b"})
    with pytest.raises(Refused, match="give one with --interval"):
        file_run(rows, ["avg:x"], by=["host"])
