from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.command import User
from schemas.detector import (
    Detector,
    DetectorLimits,
    load_detector,
    parse_detector,
    render_detector,
    stored_document,
)
from schemas.errors import DetectorInvalid, Refused
from tests.schemas.documents import NOW, detector, feature, minutes, numbered, parsed, refusal


def test_the_document_is_shown_with_all_defaults_in_opensearchs_order() -> None:
    shown = render_detector(parsed(category_field=["ip"]))
    assert json.dumps(shown) == json.dumps(
        {
            "name": "d-single",
            "description": "test &lt;b&gt;detector&lt;/b&gt;",
            "time_field": "timestamp",
            "indices": ["srv"],
            "filter_query": {"match_all": {"boost": 1.0}},
            "window_delay": {"period": {"interval": 0, "unit": "Minutes"}},
            "shingle_size": 8,
            "schema_version": 0,
            "feature_attributes": [
                {
                    "feature_id": "id1",
                    "feature_name": "f1",
                    "feature_enabled": True,
                    "aggregation_query": {"f1": {"avg": {"field": "value"}}},
                }
            ],
            "recency_emphasis": 2560,
            "history": 40,
            "last_update_time": NOW,
            "category_field": ["ip"],
            "detection_interval": {"period": {"interval": 1, "unit": "Minutes"}},
            "detector_type": "MULTI_ENTITY",
            "rules": [
                {
                    "action": "IGNORE_ANOMALY",
                    "conditions": [
                        {
                            "feature_name": "f1",
                            "threshold_type": "ACTUAL_OVER_EXPECTED_RATIO",
                            "operator": "LTE",
                            "value": 0.2,
                        },
                        {
                            "feature_name": "f1",
                            "threshold_type": "EXPECTED_OVER_ACTUAL_RATIO",
                            "operator": "LTE",
                            "value": 0.2,
                        },
                    ],
                }
            ],
        }
    )


def test_every_optional_member_has_its_place() -> None:
    full = parsed(
        ui_metadata={"a": {"b": 1}},
        category_field=["host"],
        result_index="opensearch-ad-plugin-result-c1",
        imputation_option={"method": "FIXED_VALUES", "default_fill": [{"feature_name": "f1", "data": 3}]},
        suggested_seasonality=24,
        result_index_min_size=51200,
        result_index_min_age=7,
        result_index_ttl=60,
        flatten_custom_result_index=True,
        last_ui_breaking_change_time=1,
        frequency=minutes(5),
        auto_created=True,
        detection_date_range={"start_time": 1, "end_time": 2},
        rules=[
            {
                "action": "IGNORE_ANOMALY",
                "conditions": [{"feature_name": "f1", "threshold_type": "ACTUAL_IS_BELOW_EXPECTED"}],
            }
        ],
        model={"type": "river"},
    )
    full = load_detector({**render_detector(full), "user": {"name": "ada", "backend_roles": ["ops"]}})
    shown = render_detector(full)
    order = (
        "name description time_field indices filter_query window_delay shingle_size schema_version"
        " feature_attributes recency_emphasis history ui_metadata last_update_time category_field user"
        " result_index imputation_option suggested_seasonality result_index_min_size result_index_min_age"
        " result_index_ttl flatten_custom_result_index last_ui_breaking_change_time frequency"
        " auto_created detection_interval detector_type detection_date_range rules model"
    )
    assert list(shown) == order.split()
    assert shown["shingle_size"] == 12
    assert shown["history"] == 44
    assert shown["user"]["name"] == "ada"
    assert shown["imputation_option"]["default_fill"] == [{"feature_name": "f1", "data": 3.0}]
    assert shown["rules"][0]["conditions"] == [
        {"feature_name": "f1", "threshold_type": "ACTUAL_IS_BELOW_EXPECTED", "operator": None}
    ]
    assert load_detector(json.loads(json.dumps(shown))) == full


def test_what_the_server_sets_is_not_taken_from_the_client() -> None:
    ada = User(name="ada")
    document = detector(
        detector_type="MULTI_ENTITY",
        detector_id="mine",
        last_update_time=1,
        schema_version=5,
        user={"name": "eve"},
        nonsense=[1],
    )
    read = parse_detector(document, limits=DetectorLimits(), now_ms=NOW, new_id=numbered(), user=ada)
    assert (read.detector_type, read.last_update_time, read.schema_version, read.user) == (
        "SINGLE_ENTITY",
        NOW,
        5,
        ada,
    )
    assert "detector_id" not in render_detector(read)


def test_members_of_a_custom_result_index_are_dropped_without_one() -> None:
    shown = render_detector(parsed(result_index_ttl=60, flatten_custom_result_index=True))
    assert "result_index_ttl" not in shown
    assert "flatten_custom_result_index" not in shown


def test_properties_that_the_streams_use() -> None:
    read = parsed(
        category_field=["region", "host"],
        feature_attributes=[feature("off", feature_enabled="false"), feature("on", "sum")],
        detection_interval={"period": {"interval": 10, "unit": "SECONDS"}},
        window_delay=minutes(1.9),
        indices=["metrics-*", "a.b"],
    )
    assert read.category_fields == ("host", "region")
    assert [each.feature_name for each in read.enabled_features] == ["on"]
    assert (read.window_interval_ms, read.window_delay_ms) == (10_000, 60_000)
    assert [topic for topic in ("metrics-", "metrics-eu", "xmetrics-", "a.b", "aXb") if read.reads(topic)] == [
        "metrics-",
        "metrics-eu",
        "a.b",
    ]


def test_escaping_does_not_pile_up() -> None:
    once = parsed(description="a & b <i>'\"</i> &amp;")
    assert once.description == "a & b <i>'\"</i> &"
    shown = render_detector(once)["description"]
    assert shown == "a &amp; b &lt;i&gt;&#39;&#34;&lt;/i&gt; &amp;"
    assert render_detector(parsed(description=shown))["description"] == shown


def test_zero_and_disabled_features_are_accepted_and_have_no_rules() -> None:
    assert parsed(feature_attributes=[]).rules == ()
    assert parsed(feature_attributes=...).feature_attributes == ()
    assert parsed(feature_attributes=[feature("f1", feature_enabled=False)]).rules == ()


def test_nulls_of_optional_members_are_as_good_as_nothing() -> None:
    nulls = dict.fromkeys(["result_index", "suggested_seasonality", "frequency", "rules", "imputation_option", "model"])
    assert parsed(**nulls) == parsed()


@pytest.mark.parametrize(
    ("bounds", "reason"),
    [
        ({"end_time": 1}, "Detection data range's start time must not be null"),
        ({"start_time": 1, "end_time": None}, "Detection data range's end time must not be null"),
        ({"start_time": 2, "end_time": 1}, "Detection data range's end time must be after start time"),
    ],
)
def test_a_date_range_has_two_bounds_in_order(bounds: dict[str, Any], reason: str) -> None:
    refused = refusal(detector(detection_date_range=bounds))
    assert (refused.status, refused.kind, refused.reason) == (400, "illegal_argument_exception", reason)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 300)
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["Minutes", "f1"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["period", "interval", "unit", "f1", "avg", "field", "conditions"]), inner, max_size=3
        )
    ),
    max_leaves=6,
)
members = st.dictionaries(st.sampled_from([*Detector.__struct_fields__, "extra"]), json_values, max_size=4)


@settings(max_examples=150, deadline=None)
@given(members)
def test_any_document_is_either_refused_or_survives_a_round_trip(changed: dict[str, Any]) -> None:
    try:
        read = parsed(**changed)
    except Refused as refused:
        answer = refused
    else:
        assert load_detector(json.loads(json.dumps(render_detector(read)))) == read
        return
    assert answer.reason
    assert 400 <= answer.status <= 500


@pytest.mark.parametrize("unit", ["seconds", "milliseconds", "microseconds", "nanoseconds"])
def test_a_unit_of_times_is_kept_and_shown(unit: str) -> None:
    detector = parsed(time_unit=unit)
    assert detector.time_unit == unit
    assert render_detector(detector)["time_unit"] == unit
    assert load_detector(stored_document(detector)) == detector


@pytest.mark.parametrize("unit", ["auto", None, ...])
def test_the_unit_of_times_is_open_unless_it_is_given(unit: Any) -> None:
    detector = parsed(time_unit=unit)
    assert detector.time_unit is None
    assert "time_unit" not in render_detector(detector)


def test_an_unknown_unit_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(DetectorInvalid, match=r"auto, seconds, milliseconds, microseconds, nanoseconds; not .minutes."):
        parsed(time_unit="minutes")
