"""What is wrong with a detector document is said in OpenSearch's words, in its order, with its status."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.detector import DetectorLimits, load_detector, parse_detector, render_detector
from schemas.errors import DetectorInvalid
from tests.schemas.documents import NOW, detector, feature, minutes, numbered, parsed, refusal


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
def test_broken_rules_are_issues_with_opensearchs_words(members: dict[str, Any], field: str, message: str) -> None:
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
        "Failed to parse list:  expecting START_ARRAY but got VALUE_STRING",
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


def test_checks_come_in_opensearchs_order() -> None:
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


@pytest.mark.parametrize("name", ["riverwatch.results", "riverwatch.*", "__consumer_offsets", "__*"])
def test_own_topics_are_no_data_by_name_as_by_pattern(name: str) -> None:
    limits = DetectorLimits(own_prefix="riverwatch.")
    with pytest.raises(DetectorInvalid, match="is no data"):
        parse_detector(detector(indices=["metrics", name]), limits=limits, now_ms=0, new_id=lambda: "f")
    assert parse_detector(detector(indices=["river*"]), limits=limits, now_ms=0, new_id=lambda: "f").reads("rivers")
    stored = parse_detector(detector(indices=[name]), limits=DetectorLimits(), now_ms=0, new_id=lambda: "f")
    assert load_detector(render_detector(stored)) == stored
