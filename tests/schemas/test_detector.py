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
)
from schemas.errors import DetectorInvalid, Refused
from tests.schemas.documents import NOW, detector, feature, minutes, numbered, parsed


def refusal(document: Any, **options: Any) -> Refused:
    with pytest.raises(Refused) as caught:
        parse_detector(document, **{"limits": DetectorLimits(), "now_ms": NOW, "new_id": numbered(), **options})
    return caught.value


def test_the_document_is_shown_with_all_defaults_in_the_anchors_order() -> None:
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


def six_features() -> list[dict[str, Any]]:
    return [feature(f"f{number}") for number in range(6)]


FIXED = {"method": "FIXED_VALUES", "default_fill": [{"feature_name": "f2", "data": 1}]}
INVALID: list[tuple[dict[str, Any], str, str]] = [
    ({"name": ...}, "name", "name should be set"),
    ({"name": " "}, "name", "name should be set"),
    ({"time_field": ...}, "time_field", "Time field should be set"),
    ({"indices": []}, "indices", "Indices should be set"),
    ({"indices": ...}, "indices", "Indices should be set"),
    ({"shingle_size": 2000}, "shingle_size", "Suggested shingle size must be between 1 and 128. Got 2000."),
    ({"shingle_size": 0}, "shingle_size", "Suggested shingle size must be between 1 and 128. Got 0."),
    (
        {"suggested_seasonality": 1000},
        "suggested_seasonality",
        "Suggested seasonality must be between 2 and 256. Got 1000.",
    ),
    ({"result_index": "abc"}, "result_index", "Result index must start with opensearch-ad-plugin-result-"),
    (
        {"result_index": "opensearch-ad-plugin-result-A"},
        "result_index",
        "Result index name has invalid character. Valid characters are a-z, 0-9, -(hyphen) and _(underscore)",
    ),
    (
        {"result_index": "opensearch-ad-plugin-result-" + "a" * 255},
        "result_index",
        "Result index name size must contains less than 255 characters",
    ),
    ({"recency_emphasis": 1}, "recency_emphasis", "Recency emphasis must be an integer greater than 1."),
    ({"description": "x" * 1001}, "description", "Description length is too long. Max length is 1000 characters."),
    ({"history": 0}, "history", "We cannot look back more than 10000 intervals."),
    ({"history": 10_001}, "history", "We cannot look back more than 10000 intervals."),
    (
        {"feature_attributes": [feature("f1"), feature("f1", "max")]},
        "feature_attributes",
        "[f1] appears more than once. Feature name has to be unique",
    ),
    ({"imputation_option": FIXED}, "imputation_option", "Missing feature name: f1."),
    (
        {"imputation_option": {"method": "FIXED_VALUES"}},
        "imputation_option",
        "Enabled features are present, but no default fill values are provided.",
    ),
    (
        {"imputation_option": FIXED, "feature_attributes": []},
        "imputation_option",
        "Enabled features list is null, but default fill values are provided.",
    ),
    (
        {"imputation_option": FIXED, "feature_attributes": [feature("f1"), feature("f2")]},
        "imputation_option",
        "Mismatch between the number of enabled features and default fill values. Number of default fill values: 1."
        " Number of enabled features: 2.",
    ),
    ({"frequency": minutes(0)}, "frequency", "Frequency must be greater than 0."),
    ({"frequency": minutes(-1)}, "frequency", "Frequency must be a positive integer"),
    (
        {"frequency": minutes(3), "detection_interval": minutes(2)},
        "frequency",
        "Frequency (3 Minutes) must be a multiple of interval (2 Minutes), including the interval itself.",
    ),
    (
        {"frequency": minutes(10_001)},
        "frequency",
        "Frequency multiple (10001) exceeds the maximum allowed value (10000). Frequency: 10001 Minutes,"
        " Interval: 1 Minutes.",
    ),
    ({"detection_interval": minutes(0)}, "detection_interval", "Detection interval must be a positive integer"),
    ({"detection_interval": minutes(-1)}, "detection_interval", "Detection interval must be a positive integer"),
    ({"window_delay": minutes(-1)}, "window_delay", "Window delay interval must be a positive integer"),
    (
        {"category_field": ["a", "b", "c"]},
        "category_field",
        "Currently we only support up to 2 categorical field/s in order to bound system resource consumption.",
    ),
    (
        {"filter_query": {"nonsense": {}}},
        "filter_query",
        "Custom query error in data filter: unknown query [nonsense]",
    ),
    (
        {"feature_attributes": {"a": 1}},
        "feature_attributes",
        "Custom query error: Failed to parse object: expecting token of type [START_ARRAY] but found [START_OBJECT]",
    ),
    (
        {"feature_attributes": [feature("f1", "avgg")]},
        "feature_attributes",
        "Custom query error: Unknown aggregation type [avgg] did you mean [avg]?",
    ),
]


@pytest.mark.parametrize(("members", "field", "message"), INVALID)
def test_broken_rules_are_issues_with_the_anchors_words(members: dict[str, Any], field: str, message: str) -> None:
    refused = refusal(detector(**members))
    assert isinstance(refused, DetectorInvalid)
    assert (refused.field, refused.message) == (field, message)
    assert (refused.status, refused.kind, refused.reason) == (500, "validation_exception", message)


NAMES = "Valid characters for name are a-z, A-Z, 0-9, -(hyphen), _(underscore) and .(period)"
LATE: list[tuple[dict[str, Any], int, str, str]] = [
    ({"name": "bad name#@$3"}, 500, "name", NAMES),
    ({"name": "x" * 65}, 500, "name", "Name should be shortened. The maximum limit is 64 characters."),
    ({"feature_attributes": six_features()}, 400, "feature_attributes", "Can't create more than 5 feature(s)"),
    (
        {
            "feature_attributes": [
                feature("f1", aggregation_query={"a": {"avg": {"field": "v"}}}),
                feature("f2", aggregation_query={"a": {"max": {"field": "v"}}}),
            ]
        },
        400,
        "feature_attributes",
        "Config has duplicate feature aggregation query names: a",
    ),
]


@pytest.mark.parametrize(("members", "status", "field", "message"), LATE)
def test_later_checks_have_their_own_status(members: dict[str, Any], status: int, field: str, message: str) -> None:
    refused = refusal(detector(**members))
    assert isinstance(refused, DetectorInvalid)
    assert (refused.status, refused.kind, refused.field) == (status, "status_exception", field)
    assert refused.message == refused.reason == message


def expected(wanted: str, found: str) -> str:
    return f"Failed to parse object: expecting token of type [{wanted}] but found [{found}]"


ARGUMENT, PARSING = "illegal_argument_exception", "parsing_exception"
MALFORMED: list[tuple[dict[str, Any], str, str]] = [
    ({"name": None}, PARSING, expected("VALUE_STRING", "VALUE_NULL")),
    ({"indices": "srv"}, PARSING, expected("START_ARRAY", "VALUE_STRING")),
    ({"detection_interval": "1m"}, PARSING, expected("START_OBJECT", "VALUE_STRING")),
    ({"detection_interval": None}, PARSING, expected("START_OBJECT", "VALUE_NULL")),
    ({"window_delay": "abc"}, PARSING, expected("START_OBJECT", "VALUE_STRING")),
    ({"detection_interval": {}}, ARGUMENT, "Find no schedule definition"),
    ({"window_delay": {"period": {"interval": 1, "unit": "Hours"}}}, ARGUMENT, "Time unit Hours is not supported"),
    (
        {"window_delay": {"period": {"interval": 1, "unit": "half_days"}}},
        ARGUMENT,
        "Time unit HalfDays is not supported",
    ),
    (
        {"detection_interval": {"period": {"interval": 1, "unit": "Fortnights"}}},
        ARGUMENT,
        "No enum constant java.time.temporal.ChronoUnit.FORTNIGHTS",
    ),
    ({"shingle_size": "abc"}, "number_format_exception", 'For input string: "abc"'),
    ({"history": 1e300}, ARGUMENT, "Numeric value (1e+300) out of range (-2147483648 - 2147483647)"),
    (
        {"category_field": "host"},
        "x_content_parse_exception",
        "[1:1] Failed to parse list:  expecting START_ARRAY but got VALUE_STRING",
    ),
    (
        {"feature_attributes": [{"feature_enabled": True, "aggregation_query": {"a": {"avg": {"field": "v"}}}}]},
        ARGUMENT,
        "Feature name should be set",
    ),
    ({"feature_attributes": [{"feature_name": "f1"}]}, ARGUMENT, "Feature aggregation query should be set"),
    (
        {"feature_attributes": [feature("f1", aggregation_query={"f1": {"avg": {}}})]},
        ARGUMENT,
        "Required one of fields [field, script], but none were specified. ",
    ),
    (
        {"imputation_option": {"method": "MAGIC"}},
        ARGUMENT,
        "No enum constant org.opensearch.timeseries.dataprocessor.ImputationMethod.MAGIC",
    ),
    ({"model": "river"}, PARSING, expected("START_OBJECT", "VALUE_STRING")),
]


@pytest.mark.parametrize(("members", "kind", "reason"), MALFORMED)
def test_what_is_no_detector_document_is_a_bad_request(members: dict[str, Any], kind: str, reason: str) -> None:
    refused = refusal(detector(**members))
    assert not isinstance(refused, DetectorInvalid)
    assert (refused.status, refused.kind, refused.reason) == (400, kind, reason)
    assert ("line" in refused.details) == (kind == PARSING)


def test_an_aggregation_of_many_values_names_the_feature() -> None:
    refused = refusal(detector(name="e10e", feature_attributes=[feature("f1", "terms", "host")]))
    assert isinstance(refused, DetectorInvalid)
    assert refused.reason == (
        "Validation failed for feature(s) of detector e10e Exceptions:"
        " [Feature has an invalid query causing a runtime exception: f1]"
    )
    assert refused.message == "Feature has an invalid query causing a runtime exception: f1"
    assert refused.sub_issues == {"f1": "Feature has an invalid query causing a runtime exception"}


def test_checks_come_in_the_anchors_order() -> None:
    assert refusal({}).reason == "name should be set"
    # What is malformed is found while reading, whatever else is wrong.
    assert refusal({"indices": "srv", "name": ""}).kind == PARSING
    # Of interval, category and rules the last one wins.
    both = detector(category_field=["a", "b", "c"], detection_interval=minutes(0))
    assert refusal(both).reason.startswith("Currently we only support")
    # The name's characters are looked at after the whole document.
    assert refusal(detector(name="a b", history=0)).reason.startswith("We cannot look back")
    assert refusal(detector(name="a b", feature_attributes=six_features())).reason == NAMES


def test_the_interval_has_a_default_except_in_validation() -> None:
    document = detector(detection_interval=...)
    assert parsed(detection_interval=...).window_interval_ms == 600_000
    assert refusal(document, default_interval=None).reason == "Detection interval should be set"


def test_limits_are_the_callers() -> None:
    limits = DetectorLimits(max_features=1, category_field_limit=0, name_length=3)
    assert refusal(detector(category_field=["host"]), limits=limits).status == 500
    assert "3 characters" in refusal(detector(), limits=limits).reason
    assert "1 feature(s)" in refusal(detector(name="d", feature_attributes=six_features()), limits=limits).reason
    many = parse_detector(
        detector(feature_attributes=six_features(), category_field=list("abcde")),
        limits=DetectorLimits(max_features=9, category_field_limit=5),
        now_ms=NOW,
        new_id=numbered(),
    )
    assert load_detector(render_detector(many)) == many


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
