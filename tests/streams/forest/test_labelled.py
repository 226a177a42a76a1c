"""The metric of the bench of detection, and the series that it makes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.bench.labelled import anomalies, folders
from tests.bench.labelled.metric import macro, pages, tally, total
from tests.bench.labelled.series import Event, Series


def hourly(rows: int, *events: Event) -> Series:
    return Series("a", 3600, np.arange(rows) * 3_600_000, np.zeros(rows), events)


def alarms(rows: int, *where: int) -> np.ndarray:
    return np.isin(np.arange(rows), where)


def test_an_event_is_found_from_one_row_before_to_five_after_it() -> None:
    series = hourly(1000, Event(500, 509, "spike"))
    for row, found in ((498, 0), (499, 1), (514, 1), (515, 0)):
        counted = tally(series, alarms(1000, row))
        assert (counted.found["spike"], counted.wrong) == (found, 1 - found)


def test_alarms_within_an_hour_are_one_page_and_one_right_alarm_makes_it_right() -> None:
    counted = tally(hourly(1000, Event(500, 500)), alarms(1000, 497, 500, 600, 603, 605, 606))
    assert counted.wrong == 2  # 600 to 605, and 606; the first page holds an alarm of the event
    assert counted.recall == 1.0
    assert counted.precision == pytest.approx(1 / 3)
    assert counted.f1 == pytest.approx(0.5)
    assert counted.rows == 900 - 7


def test_the_warm_up_is_not_scored() -> None:
    counted = tally(hourly(1000, Event(50, 99), Event(98, 100)), alarms(1000, 3, 99))
    assert sum(counted.events.values()) == 1
    assert counted.recall == 0.0
    assert counted.wrong == 0


def test_sets_without_events_count_for_false_pages_only() -> None:
    found = tally(hourly(1000, Event(500, 500)), alarms(1000, 500))
    clean = tally(hourly(1000), alarms(1000, 500, 700))
    f1, false_pages = macro([total([found]), total([clean])])
    assert f1 == 1.0
    assert false_pages == pytest.approx(1e4 * 2 / 900 / 2)


@given(st.sets(st.integers(0, 399)), st.integers(1, 7200))
def test_pages_part_the_alarms(where: set[int], interval: int) -> None:
    parts = pages(alarms(400, *where), interval)
    assert [row for part in parts for row in part.tolist()] == sorted(where)
    assert all(part[-1] - part[0] <= 60 for part in parts)


@pytest.mark.parametrize("kind", sorted(anomalies.KINDS))
def test_each_kind_of_anomaly_changes_its_rows_and_no_others(kind: str) -> None:
    background = anomalies.KINDS[kind][0]
    clean = anomalies.clean(background, 600, 3000, 1)
    values = clean.values.copy()
    event = anomalies.inject(values, clean.values, clean.starts, 1500, kind, np.random.default_rng(1))
    assert event is not None
    changed = np.flatnonzero(values != clean.values)
    assert len(changed) >= 0.9 * (event.last - event.first)
    assert event.first <= changed[0]
    assert changed[-1] <= event.last


def test_a_series_depends_on_its_seed_only() -> None:
    one, same, other = (anomalies.labelled("smooth", 3600, 3000, seed) for seed in (1, 1, 2))
    assert np.array_equal(one.values, same.values)
    assert one.events == same.events
    assert not np.array_equal(one.values, other.values)
    assert len(one.events) >= 5


def test_a_folder_of_sets_is_read(tmp_path: Path) -> None:
    (tmp_path / "web").mkdir()
    label = {"interval_s": 60, "windows": [[60_000, 120_000], [180_000, 180_000]], "kinds": ["spike", "stuck"]}
    (tmp_path / "web" / "labels.json").write_text(json.dumps({"a": label}))
    (tmp_path / "web" / "a.csv").write_text("timestamp,value\n0,1\n60000,2\n120000,3\n180000,4\n")
    assert folders.sets(tmp_path) == ["web"]
    (series,) = folders.read(tmp_path, "web")
    assert series.events == (Event(1, 2, "spike"), Event(3, 3, "stuck"))
    assert series.values.tolist() == [1, 2, 3, 4]
    assert folders.read(tmp_path, "web", only=["b"]) == []
