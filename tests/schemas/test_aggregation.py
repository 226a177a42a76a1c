from __future__ import annotations

from typing import Any

import pytest

from schemas.aggregation import KINDS, NotSingleValued, parse_aggregation
from schemas.errors import Refused


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"percentiles", "median_absolute_deviation"}))
def test_metrics_keep_their_document(kind: str) -> None:
    query = {"a": {kind: {"field": "cpu.load"}}}
    read = parse_aggregation(query)
    assert (read.name, read.kind, read.field, read.filter, read.percent) == ("a", kind, "cpu.load", None, None)
    assert read.document == query


def test_of_several_aggregations_the_first_counts() -> None:
    read = parse_aggregation({"a": {"avg": {"field": "v"}}, "b": {"max": {"field": "v"}}})
    assert read.document == {"a": {"avg": {"field": "v"}}}


def test_percentiles_give_their_least_percent() -> None:
    assert parse_aggregation({"p": {"percentiles": {"field": "v"}}}).percent == 1.0
    read = parse_aggregation({"p": {"percentiles": {"field": "v", "percents": [99, 50]}}})
    assert read.percent == 50.0
    shown = {"field": "v", "percents": [50.0, 99.0], "keyed": True, "tdigest": {"compression": 100.0}}
    assert read.document["p"]["percentiles"] == shown
    given = {"field": "v", "percents": [5.0], "keyed": False, "tdigest": {"compression": 200.0}}
    assert parse_aggregation({"p": {"percentiles": given}}).document == {"p": {"percentiles": given}}
    assert parse_aggregation(read.document) == read


def test_a_filter_around_one_metric() -> None:
    read = parse_aggregation(
        {"errors": {"filter": {"term": {"status": "500"}}, "aggs": {"n": {"value_count": {"field": "status"}}}}}
    )
    assert (read.name, read.kind, read.field) == ("errors", "value_count", "status")
    assert read.filter is not None
    assert read.document["errors"]["aggregations"] == {"n": {"value_count": {"field": "status"}}}
    assert parse_aggregation(read.document) == read


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"a": {"avgg": {}}}, "parsing_exception", "Unknown aggregation type [avgg] did you mean [avg]?"),
    ({"a": {}}, "parsing_exception", "Missing definition for aggregation [a]"),
    ({"a[": {"avg": {}}}, "parsing_exception", "Invalid aggregation name [a[]"),
    (
        {"a": {"avg": {}, "max": {}}},
        "parsing_exception",
        "Found two aggregation type definitions in [a]: [avg] and [max]",
    ),
    (
        {"a": {"avg": 3}},
        "parsing_exception",
        "Expected [START_OBJECT] under [avg], but got a [VALUE_NUMBER] in [a]",
    ),
    ({"a": {"avg": {"feild": "x"}}}, "parsing_exception", "[avg] unknown field [feild] did you mean [field]?"),
    (
        {"a": {"avg": {"field": "v"}, "aggs": {"b": {"max": {"field": "v"}}}}},
        "parsing_exception",
        "Aggregator [a] of type [avg] cannot accept sub-aggregations",
    ),
    (
        {"a": {"avg": {}}},
        "illegal_argument_exception",
        "Required one of fields [field, script], but none were specified. ",
    ),
    ({"a": {"avg": {"script": "1"}}}, "illegal_argument_exception", "[avg] [script] is not supported in features"),
    (
        {"a": {"weighted_avg": {"value": {"field": "v"}}}},
        "illegal_argument_exception",
        "Aggregation [a] of type [weighted_avg] is not supported in features",
    ),
    (
        {"a": {"percentiles": {"field": "v", "percents": []}}},
        "illegal_argument_exception",
        "[percents] must not be empty: [a]",
    ),
    (
        {"a": {"percentiles": {"field": "v", "percents": [101]}}},
        "illegal_argument_exception",
        "percent must be in [0,100], got [101.0]: [a]",
    ),
    ({}, "illegal_argument_exception", "Feature aggregation query should be set"),
]


@pytest.mark.parametrize(("query", "kind", "reason"), REFUSED)
def test_refusals(query: dict[str, Any], kind: str, reason: str) -> None:
    with pytest.raises(Refused) as caught:
        parse_aggregation(query)
    assert (caught.value.status, caught.value.kind) == (400, kind)
    assert caught.value.reason.startswith(reason)


@pytest.mark.parametrize(
    "body",
    [
        {"terms": {"field": "host"}},
        {"filter": {"match_all": {}}},
        {"filter": {"match_all": {}}, "aggs": {"x": {"avg": {"field": "v"}}, "y": {"avg": {"field": "v"}}}},
        {"filter": {"match_all": {}}, "aggs": {"x": {"terms": {"field": "v"}}}},
    ],
)
def test_buckets_are_no_single_value(body: dict[str, Any]) -> None:
    with pytest.raises(NotSingleValued):
        parse_aggregation({"a": body})


def test_median_absolute_deviation_is_shown_as_opensearch_shows_it() -> None:
    parsed = parse_aggregation({"a": {"median_absolute_deviation": {"field": "v", "compression": 50}}})
    assert parsed.kind == "median_absolute_deviation"
    assert parsed.document == {"a": {"median_absolute_deviation": {"field": "v", "compression": 1000.0}}}
