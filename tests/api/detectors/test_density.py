"""What is said about the density of data."""

from __future__ import annotations

from typing import Any

from api.detectors.density import Data, Record, model_issue, suggestions
from schemas.detector import Detector, read_detector
from schemas.detector_check import DetectorLimits

MINUTE = 60_000
NOW = 1_795_493_160_667
START = NOW // MINUTE * MINUTE


def detector(**members: Any) -> Detector:
    document = {
        "name": "d",
        "time_field": "t",
        "indices": ["i"],
        "detection_interval": {"period": {"interval": 1, "unit": "Minutes"}},
        "window_delay": {"period": {"interval": 2, "unit": "Minutes"}},
        "feature_attributes": [
            {"feature_name": "f", "aggregation_query": {"f": {"avg": {"field": "v"}}}},
        ],
        **members,
    }
    return read_detector(document, limits=DetectorLimits(), now_ms=0, new_id=lambda: "f")


def data(every: int, count: int = 1500, **members: Any) -> Data:
    records: list[tuple[int, Record]] = [(START - i * every, {"v": 1, "host": "a", **members}) for i in range(count)]
    records.reverse()
    return Data(records, records[0][0], True)


def has(field: str) -> list[tuple[str, Any]]:
    return [("f", lambda record: field in record)]


def check(which: Detector, records: Data | None, matches: Any = lambda _: True, field: str = "v") -> Any:
    issue = model_issue(which, records, NOW, matches, has(field))
    return None if issue is None else issue["model"]


def test_dense_data_are_fine() -> None:
    assert check(detector(), data(MINUTE)) is None
    assert check(detector(category_field=["host"]), data(MINUTE)) is None


def test_sparse_data_get_a_longer_interval() -> None:
    issue = check(detector(), data(3 * MINUTE))["detection_interval"]
    assert issue["message"].endswith("Consider changing interval length to: 3 minutes")
    assert issue["suggested_value"] == {"period": {"interval": 3, "unit": "Minutes"}}


def test_a_handful_of_records_is_too_sparse_at_any_interval() -> None:
    assert list(check(detector(), data(10_000, 6))) == ["indices"]
    assert list(check(detector(), None)) == ["time_field"]


def test_old_data_get_a_longer_delay() -> None:
    old = data(MINUTE)
    old = Data([(moment - 30 * MINUTE, record) for moment, record in old.records], old.oldest, True)
    issue = check(detector(), old)["window_delay"]
    assert "at least 31 minutes ago" in issue["message"]
    assert issue["suggested_value"] == {"period": {"interval": 31, "unit": "Minutes"}}
    none = detector(window_delay={"period": {"interval": 0, "unit": "Minutes"}})
    assert "at least 1 minutes ago" in check(none, data(MINUTE))["window_delay"]["message"]


def test_filters_categories_and_features_that_leave_too_little() -> None:
    assert list(check(detector(), data(MINUTE), lambda _: False)) == ["filter_query"]
    assert "No entity" in check(detector(category_field=["no"]), data(MINUTE))["category_field"]["message"]
    spread = data(MINUTE)
    spread = Data([(m, {**r, "host": str(m)}) for m, r in spread.records], spread.oldest, True)
    assert "too sparse" in check(detector(category_field=["host"]), spread)["category_field"]["message"]
    issue = check(detector(), data(MINUTE), field="no")["feature_attributes"]
    assert issue["message"].endswith(": f")
    assert list(issue["sub_issues"]) == ["f"]


def test_a_sample_that_is_cut_off_says_nothing_about_what_lies_before_it() -> None:
    newest = data(1000, 300)
    assert list(check(detector(), newest)) == ["indices"]
    assert check(detector(), Data(newest.records, newest.oldest, False)) is None


def test_suggestions() -> None:
    both = suggestions(detector(), ["detection_interval", "history", "window_delay"], data(3 * MINUTE), NOW)
    assert both == {
        "interval": {"period": {"interval": 3, "unit": "Minutes"}},
        "history": 1499,
        "windowDelay": {"period": {"interval": 2, "unit": "Minutes"}},
    }
    assert list(suggestions(detector(), ["history"], data(MINUTE), NOW)) == ["interval", "history"]
    assert list(suggestions(detector(), ["window_delay"], data(MINUTE), NOW)) == ["windowDelay"]
    assert suggestions(detector(), ["history"], None, NOW) == {}
