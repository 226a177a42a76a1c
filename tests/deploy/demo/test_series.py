"""The demo's data: whole, five-minutely, and its labels follow when times are moved."""

from __future__ import annotations

from itertools import pairwise

from deploy.demo.series import FOLDER, INTERVAL_MS, in_time_order, load


def test_every_series_has_two_weeks_and_labels() -> None:
    series = load()
    assert len(series) == 8
    assert {len(each.times) for each in series} == {4032}
    assert all(each.labels for each in series)
    assert (FOLDER / "LICENSE-NAB.txt").read_text().startswith("Copyright 2014-2024 Numenta Inc.")


def test_moving_ends_at_the_moment_asked_and_keeps_the_labels_on_their_values() -> None:
    for before in load():
        after = before.ending_at(100_000 * INTERVAL_MS)
        assert max(after.times) == 100_000 * INTERVAL_MS
        assert after.values == before.values

        paced = before.paced(5000, 1000)
        assert paced.times[:2] == [5000, 6000]
        for number, (old, moved, at_pace) in enumerate(zip(before.times, after.times, paced.times, strict=True)):
            label = before.label_of(old, old + 1)
            assert after.label_of(moved, moved + 1) == label, number
            assert paced.label_of(at_pace, at_pace + 1) == label, number


def test_all_rows_come_oldest_first() -> None:
    rows = list(in_time_order([each.ending_at(0) for each in load()]))
    assert len(rows) == 8 * 4032
    assert all(first[0] <= second[0] for first, second in pairwise(rows))
