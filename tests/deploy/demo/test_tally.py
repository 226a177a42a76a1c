"""What the demo counts."""

from __future__ import annotations

import msgspec

from deploy.demo.series import Series
from deploy.demo.tally import Tally, windows
from schemas.result import Result
from schemas.task import EntityValue

SERIES = [Series("a", [0, 10, 20], [1.0, 2.0, 3.0], [(10, 19)]), Series("b", [0, 20], [1.0, 2.0], [(0, 9)])]


def result(name: str, start: int, grade: float | None) -> Result:
    return Result(
        id=f"d|{name}|{start + 10}",
        detector_id="d",
        data_start_time=start,
        data_end_time=start + 10,
        entity=[EntityValue("series", name)],
        anomaly_grade=msgspec.UNSET if grade is None else grade,
    )


def test_only_anomalies_are_news_and_know_whether_they_were_labelled() -> None:
    tally = Tally(SERIES)
    verdicts = [
        tally.add(result("a", 0, None)),
        tally.add(result("a", 10, 0.7)),
        tally.add(result("b", 0, 0.0)),
        tally.add(result("b", 20, 0.2)),
    ]
    assert verdicts == [None, True, None, False]
    assert (tally.results, tally.anomalies, tally.marked) == (4, 2, 1)
    assert (tally.labels_hit, tally.labels) == (1, 2)


def test_a_result_that_comes_again_counts_once() -> None:
    tally = Tally(SERIES)
    assert tally.add(result("a", 10, 0.7)) is True
    assert tally.add(result("a", 10, 0.7)) is None
    assert (tally.results, tally.anomalies) == (1, 1)


def test_complete_is_when_every_series_has_the_window_of_its_last_value() -> None:
    tally = Tally(SERIES)
    tally.add(result("a", 20, None))
    tally.add(result("b", 10, None))
    assert not tally.is_complete()
    tally.add(result("b", 20, None))
    assert tally.is_complete()


def test_windows_without_values_are_not_expected() -> None:
    assert windows(SERIES, 10) == 5
    assert windows(SERIES, 20) == 4
