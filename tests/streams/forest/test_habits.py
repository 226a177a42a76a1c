"""What a model knows of a series: its day in its time zone, what follows what, and runs of equal values."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from streams.forest import ForestSpec, Steps, open_bank
from streams.forest.arrays import Float64Array
from streams.forest.derive import Runs, latest, repeated, summed
from streams.forest.season import Day, marks

FIVE_MINUTES = 300_000
DAY = 288
NIGHT = 86_400_000


def judged(values: Float64Array, first_end: int = FIVE_MINUTES, interval: int = 300, **settings: str) -> Steps:
    bank = open_bank(ForestSpec(features=1, seed=3, interval=interval, **settings), 1)  # type: ignore[arg-type]
    ends = first_end + 1000 * interval * np.arange(len(values))
    return bank.step(np.zeros(len(values), np.int64), ends, values[:, None])


def visits(days: int, source: np.random.Generator) -> Float64Array:
    """A smooth day between 2 at night and 19,000 at noon."""
    hour = np.arange(days * DAY) / DAY * 2 * np.pi
    values: Float64Array = np.maximum(0, 9500 * (1 - np.cos(hour)) + 2) * source.normal(1, 0.03, days * DAY)
    return values


def test_what_is_usual_at_night_is_found_at_noon() -> None:
    values = visits(12, np.random.default_rng(0))
    noon = 11 * DAY + DAY // 2
    values[noon : noon + 6] = 2
    steps = judged(values)
    assert steps.grade[noon] > 0
    expected = float(steps.explanations[noon].expected[0])
    assert 15_000 < expected < 22_000
    assert steps.grade[10 * DAY : noon].max() == 0


def test_a_value_that_stands_still_is_found() -> None:
    values = np.random.default_rng(0).normal(50, 5, 2000)
    values[1500:1600] = 50.0
    found = np.flatnonzero(judged(values).grade[1500:1600])
    assert 5 <= found[0] < 40


def test_jumps_between_usual_values_are_found_by_what_was_forecast() -> None:
    source = np.random.default_rng(0)
    values = np.zeros(3000)
    for row in range(1, len(values)):
        values[row] = 0.98 * values[row - 1] + source.normal(0, 1)
    values[2500] = values[2499] - 9 * np.sign(values[2499])
    assert judged(values).grade[2500] > 0


def test_days_are_those_of_the_time_zone_in_summer_too() -> None:
    zone = ZoneInfo("Europe/Berlin")
    winter, summer = (datetime(2026, month, 1, 8, tzinfo=zone) for month in (3, 4))
    ends = np.array([int(moment.timestamp()) * 1000 + FIVE_MINUTES for moment in (winter, summer)])
    day = Day.of(300)
    assert (marks(ends, 300, day, "Europe/Berlin") % (1 << 14)).tolist() == [96, 96]
    assert (marks(ends, 300, day, "UTC") % (1 << 14)).tolist() == [84, 72]
    assert (marks(ends, 300, day, "Europe/Berlin") >> 14).tolist() == [1, 0], "a Sunday and a Wednesday"


def test_a_change_of_the_clocks_is_no_anomaly_in_the_time_zone() -> None:
    """Work begins at eight, by the clock on the wall."""
    zone = ZoneInfo("Europe/Berlin")
    first = int(datetime(2026, 3, 2, tzinfo=zone).timestamp()) * 1000
    ends = first + FIVE_MINUTES * np.arange(1, 40 * DAY + 1)
    hours = np.array([datetime.fromtimestamp((end - 150_000) / 1000, zone).hour for end in ends.tolist()])
    values = np.where((hours >= 8) & (hours < 18), 100.0, 10.0) + np.random.default_rng(0).normal(0, 2, len(ends))
    changed = slice(27 * DAY - 12, 28 * DAY)
    alarms = {
        name: int((judged(values, int(ends[0]), time_zone=name).grade[changed] > 0).sum())
        for name in ("Europe/Berlin", "UTC")
    }
    assert alarms["Europe/Berlin"] == 0
    assert alarms["UTC"] > 0


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(-3, 3)), min_size=1, max_size=60), st.integers(1, 59))
def test_sums_and_runs_are_those_of_each_model_alone(events: list[tuple[int, int]], cut: int) -> None:
    events = sorted(events[:cut], key=lambda event: event[0]) + sorted(events[cut:], key=lambda event: event[0])
    units, counts = np.zeros((3, 4, 1), np.int8), np.zeros((3, 1), np.int32)
    last_value = np.full((3, 1), np.nan)
    seen: list[tuple[int, int, int]] = []
    for part in (events[:cut], events[cut:]):
        if not part:
            continue
        rows = np.array([row for row, _ in part])
        own = np.array([[value] for _, value in part])
        runs = Runs.of(rows)
        sums = summed(own, runs, units)
        values = np.where(own == 3, np.nan, own.astype(np.float64))
        ahead = np.empty_like(values)
        for place, row in enumerate(rows):
            ahead[place] = last_value[row]
            last_value[row] = values[place] if values[place] == values[place] else last_value[row]
        run = repeated(values, ahead, runs, counts)
        last = np.flatnonzero(runs.last)
        units[rows[last]] = latest(own, runs, units, last)
        counts[rows[last]] = run[last]
        seen += list(zip(rows.tolist(), sums[:, 0].tolist(), run[:, 0].tolist(), strict=True))
    past: dict[int, list[int]] = {}
    for (row, value), (_, total, run_length) in zip(events, seen, strict=True):
        mine = past.setdefault(row, [])
        mine.append(value)
        assert total == sum(mine[-5:])
        known = [one for one in mine if one != 3]
        equal = (
            next((place for place, one in enumerate(known[::-1]) if one != known[-1]), len(known)) - 1 if known else 0
        )
        assert run_length == equal


def test_reasons_say_what_is_odd_and_young_models_that_they_learn() -> None:
    values = visits(12, np.random.default_rng(0))
    noon = 11 * DAY + DAY // 2
    values[noon : noon + 6] = 2
    steps = judged(values)
    explanation = steps.explanations[noon]
    assert explanation.code == "LOWER_THAN_USUAL"
    assert 2 < float(explanation.lower[0]) < float(explanation.expected[0]) < float(explanation.upper[0])
    assert steps.learning.tolist() == [True] * 250 + [False] * (len(values) - 250)
    still = np.random.default_rng(0).normal(50, 5, 2000)
    still[1500:1600] = 50.0
    row, first = next((row, one) for row, one in judged(still).explanations.items() if row >= 1500)
    assert (first.code, first.windows) == ("STANDS_STILL", row - 1499)


def test_the_first_weekend_of_a_smooth_day_is_taken_for_a_weekday() -> None:
    monday = 4 * NIGHT + FIVE_MINUTES
    steps = judged(visits(7, np.random.default_rng(3)), monday)
    saturday = 5 * DAY
    assert steps.grade[saturday - DAY : saturday + DAY].max() == 0
