from __future__ import annotations

from typing import Any

import pytest

from api.search import RESULTS
from schemas.errors import Refused
from tests.api.search.documents import MINUTE, RESULT_SAMPLE, START, Found, numbered, search


def run(aggregations: Any, query: Any = None, documents: list[Found] = RESULT_SAMPLE) -> Any:
    body = {"size": 0, "aggs": aggregations, **({} if query is None else {"query": query})}
    return search(body, documents, RESULTS)["aggregations"]


def test_terms_come_by_count_then_by_key_and_tell_what_is_left() -> None:
    found = run({"m": {"terms": {"field": "model_id", "size": 2}}})
    assert found["m"] == {
        "doc_count_error_upper_bound": 0,
        "sum_other_doc_count": 1,
        "buckets": [{"key": "m-a", "doc_count": 3}, {"key": "m-b", "doc_count": 2}],
    }


@pytest.mark.parametrize(
    ("settings", "keys"),
    [
        ({"order": {"_key": "desc"}}, "cba"),
        ({"order": {"_count": "asc"}}, "cba"),
        ({"order": {"top": "desc"}}, "abc"),
        ({"order": {"top": "asc"}}, "cba"),
        ({"order": {"numbers.avg": "desc"}}, "abc"),
        ({"order": [{"some": "desc"}, {"_key": "desc"}]}, "bca"),
        ({"order": {"high>top": "desc"}}, "abc"),
        ({"include": "m-[ab]"}, "ab"),
        ({"exclude": ["m-a"]}, "bc"),
        ({"min_doc_count": 2}, "ab"),
    ],
    ids=str,
)
def test_terms_are_ordered_and_chosen(settings: dict[str, Any], keys: str) -> None:
    inside = {
        "top": {"max": {"field": "anomaly_grade"}},
        "numbers": {"extended_stats": {"field": "anomaly_grade"}},
        "some": {"value_count": {"field": "task_id"}},
        "high": {
            "filter": {"range": {"anomaly_grade": {"gt": 0}}},
            "aggs": {"top": {"max": {"field": "anomaly_grade"}}},
        },
    }
    found = run({"m": {"terms": {"field": "model_id", **settings}, "aggs": inside}})
    assert "".join(bucket["key"][-1] for bucket in found["m"]["buckets"]) == keys


def test_keys_of_each_type_are_shown_as_the_live_node_shows_them() -> None:
    documents = numbered({"x": {"is_anomaly": True, "data_start_time": START, "schema_version": 7, "confidence": 1}})
    for name, bucket in {
        "is_anomaly": {"key": 1, "key_as_string": "true", "doc_count": 1},
        "data_start_time": {"key": START, "key_as_string": "2026-11-24T04:08:00.000Z", "doc_count": 1},
        "schema_version": {"key": 7, "doc_count": 1},
        "confidence": {"key": 1.0, "doc_count": 1},
    }.items():
        assert run({"a": {"terms": {"field": name}}}, documents=documents)["a"]["buckets"] == [bucket]
    missing = run({"a": {"terms": {"field": "task_id", "missing": "none"}}})
    assert missing["a"]["buckets"][0] == {"key": "none", "doc_count": 4}


def test_metrics() -> None:
    grade = {"field": "anomaly_grade"}
    found = run(
        {
            "n": {"value_count": {"field": "task_id"}},
            "hosts": {"cardinality": {"field": "model_id"}},
            "mx": {"max": grade},
            "mn": {"min": {"field": "data_start_time"}},
            "av": {"avg": {"field": "confidence"}},
            "su": {"sum": {"field": "schema_version"}},
            "pc": {"percentiles": {"field": "anomaly_grade", "percents": [50, 100]}},
            "none": {"max": {"field": "threshold"}},
            "filled": {"avg": {"field": "threshold", "missing": 2}},
            "unmapped": {"sum": {"field": "nothing"}},
        }
    )
    assert found["pc"]["values"].pop("50.0") == pytest.approx(0.05)
    assert found == {
        "n": {"value": 2},
        "hosts": {"value": 3},
        "mx": {"value": 0.9},
        "mn": {"value": float(START), "value_as_string": "2026-11-24T04:08:00.000Z"},
        "av": {"value": 0.5},
        "su": {"value": 42.0},
        "pc": {"values": {"100.0": 0.9}},
        "none": {"value": None},
        "filled": {"value": 2.0},
        "unmapped": {"value": 0.0},
    }


def test_extended_stats() -> None:
    documents = numbered({str(value): {"confidence": value} for value in (1.0, 2.0, 3.0)})
    found = run({"e": {"extended_stats": {"field": "confidence", "sigma": 1}}}, documents=documents)["e"]
    assert found["sum_of_squares"] == 14.0
    assert found["variance"] == found["variance_population"] == pytest.approx(2 / 3)
    assert found["variance_sampling"] == pytest.approx(1.0)
    assert found["std_deviation_bounds"]["upper_sampling"] == pytest.approx(3.0)
    empty = run({"e": {"extended_stats": {"field": "confidence"}}}, documents=[])["e"]
    assert (empty["count"], empty["variance"], empty["std_deviation_bounds"]["upper"]) == (0, None, None)


def test_a_date_histogram_fills_its_gaps_up_to_its_bounds() -> None:
    settings = {
        "field": "data_start_time",
        "fixed_interval": "1m",
        "extended_bounds": {"min": START - MINUTE, "max": START + 3 * MINUTE},
    }
    found = run({"h": {"date_histogram": settings, "aggs": {"top": {"max": {"field": "anomaly_grade"}}}}})
    assert [
        (bucket["key"] - START, bucket["doc_count"], bucket["top"]["value"]) for bucket in found["h"]["buckets"]
    ] == [
        (-MINUTE, 0, None),
        (0, 3, 0.3),
        (MINUTE, 2, 0.9),
        (2 * MINUTE, 1, 0.0),
        (3 * MINUTE, 0, None),
    ]
    assert found["h"]["buckets"][1]["key_as_string"] == "2026-11-24T04:08:00.000Z"
    shifted = run(
        {"h": {"date_histogram": {**settings, "offset": "+10s", "extended_bounds": None, "min_doc_count": 1}}}
    )
    assert [bucket["key"] - START for bucket in shifted["h"]["buckets"]] == [-50_000, 10_000, 70_000]


def test_a_calendar_knows_its_months_and_its_zone() -> None:
    days = {"a": 1_793_491_200_000, "b": 1_796_079_600_000}  # 1 November 2026 and 30 November 23:00 UTC
    documents = numbered({id: {"data_start_time": at} for id, at in days.items()})
    settings = {"field": "data_start_time", "calendar_interval": "month", "time_zone": "+01:00"}
    found = run({"h": {"date_histogram": settings}}, documents=documents)["h"]["buckets"]
    assert [bucket["key_as_string"] for bucket in found] == [
        "2026-11-01T00:00:00.000+01:00",
        "2026-12-01T00:00:00.000+01:00",
    ]


def test_histogram_and_ranges() -> None:
    found = run(
        {
            "h": {"histogram": {"field": "anomaly_grade", "interval": 0.25}},
            "r": {
                "range": {"field": "anomaly_grade", "ranges": [{"to": 0.1}, {"from": 0.1, "to": 0.5}, {"from": 0.5}]}
            },
            "k": {"range": {"field": "anomaly_grade", "keyed": True, "ranges": [{"key": "any", "from": 0.01}]}},
            "d": {
                "date_range": {
                    "field": "data_start_time",
                    "ranges": [{"from": "2026-11-24T04:09:00Z"}, {"to": "2026-11-24T04:09:00Z"}],
                }
            },
        }
    )
    assert [(bucket["key"], bucket["doc_count"]) for bucket in found["h"]["buckets"]] == [
        (0.0, 4),
        (0.25, 1),
        (0.5, 0),
        (0.75, 1),
    ]
    assert [(bucket["key"], bucket["doc_count"]) for bucket in found["r"]["buckets"]] == [
        ("*-0.1", 3),
        ("0.1-0.5", 2),
        ("0.5-*", 1),
    ]
    assert found["k"]["buckets"] == {"any": {"from": 0.01, "doc_count": 3}}
    assert [(bucket["key"], bucket["doc_count"]) for bucket in found["d"]["buckets"]] == [
        ("*-2026-11-24T04:09:00.000Z", 3),
        ("2026-11-24T04:09:00.000Z-*", 3),
    ]


def test_filters() -> None:
    found = run(
        {
            "f": {"filter": {"term": {"model_id": "m-a"}}, "aggs": {"n": {"value_count": {"field": "model_id"}}}},
            "fs": {"filters": {"filters": {"a": {"term": {"model_id": "m-a"}}}, "other_bucket": True}},
        },
        {"term": {"detector_id": "d1"}},
    )
    assert found == {
        "f": {"doc_count": 3, "n": {"value": 3}},
        "fs": {"buckets": {"a": {"doc_count": 3}, "_other_": {"doc_count": 2}}},
    }


def test_top_entities_the_way_dashboards_asks() -> None:
    body = {
        "entities": {
            "nested": {"path": "entity"},
            "aggs": {
                "values": {
                    "terms": {"field": "entity.value", "order": {"results>top": "desc"}},
                    "aggs": {
                        "results": {"reverse_nested": {}, "aggs": {"top": {"max": {"field": "anomaly_grade"}}}},
                        "page": {"bucket_sort": {"from": 1, "size": 2}},
                    },
                }
            },
        }
    }
    found = run(body)["entities"]
    assert found["doc_count"] == 12
    assert [
        (one["key"], one["results"]["doc_count"], one["results"]["top"]["value"]) for one in found["values"]["buckets"]
    ] == [
        ("host-a", 3, 0.9),
        ("host-b", 2, 0.3),
    ]


def test_top_hits_show_what_is_asked_of_them() -> None:
    inside = {
        "one": {"top_hits": {"size": 1, "sort": [{"anomaly_grade": "desc"}], "_source": {"include": ["model_id"]}}}
    }
    found = run({"m": {"terms": {"field": "model_id"}, "aggs": inside}})["m"]["buckets"][0]["one"]
    assert found == {
        "hits": {
            "total": {"value": 3, "relation": "eq"},
            "max_score": None,
            "hits": [{"_index": "index", "_id": "a1", "_score": None, "_source": {"model_id": "m-a"}, "sort": [0.9]}],
        }
    }
    plain = run({"t": {"top_hits": {"size": 1, "version": True}}})["t"]["hits"]
    assert (plain["max_score"], plain["hits"][0]["_score"], plain["hits"][0]["_version"]) == (1.0, 1.0, 1)


def test_composite_pages_give_every_bucket_once() -> None:
    sources = [{"d": {"terms": {"field": "detector_id", "order": "desc"}}}, {"m": {"terms": {"field": "model_id"}}}]
    pages, after = [], None
    while True:
        settings = {"size": 2, "sources": sources, **({} if after is None else {"after": after})}
        page = run({"c": {"composite": settings, "aggs": {"top": {"max": {"field": "anomaly_grade"}}}}})["c"]
        if not page["buckets"]:
            break
        pages += [(bucket["key"]["d"], bucket["key"]["m"], bucket["doc_count"]) for bucket in page["buckets"]]
        after = page["after_key"]
    assert pages == [("d2", "m-c", 1), ("d1", "m-a", 3), ("d1", "m-b", 2)]
    with_missing = [{"t": {"terms": {"field": "task_id", "missing_bucket": True}}}]
    found = run({"c": {"composite": {"sources": with_missing}}})["c"]["buckets"]
    assert found == [{"key": {"t": None}, "doc_count": 4}, {"key": {"t": "t1"}, "doc_count": 2}]


def test_meta_is_given_back() -> None:
    assert run({"n": {"value_count": {"field": "model_id"}, "meta": {"a": 1}}})["n"] == {"meta": {"a": 1}, "value": 6}


BACKWARDS = {"min": 5, "max": 1}
REFUSED: list[tuple[Any, str, str]] = [
    ({"a": {"termz": {}}}, "parsing_exception", "Unknown aggregation type [termz] did you mean [terms]?"),
    ({"a": {"scripted_metric": {}}}, "parsing_exception", "[scripted_metric] is not supported"),
    ({"a": {}}, "parsing_exception", "Missing definition for aggregation [a]"),
    ({"a[0]": {"max": {"field": "x"}}}, "parsing_exception", "Invalid aggregation name [a[0]]"),
    ({"a": {"max": {}}}, "illegal_argument_exception", "Required one of fields [field, script]"),
    ({"a": {"max": {"field": "x", "foo": 1}}}, "x_content_parse_exception", "[foo]"),
    ({"a": {"max": {"field": "x"}, "min": {"field": "x"}}}, "parsing_exception", "two aggregation type definitions"),
    ({"a": {"terms": {"field": "error"}}}, "illegal_argument_exception", "set fielddata=true on [error]"),
    ({"a": {"max": {"field": "model_id"}}}, "illegal_argument_exception", "Field [model_id] of type [keyword]"),
    ({"a": {"terms": {"field": "model_id", "size": 0}}}, "illegal_argument_exception", "[size]"),
    (
        {"a": {"max": {"field": "x"}, "aggs": {"b": {"max": {"field": "x"}}}}},
        "aggregation_initialization_exception",
        "cannot accept sub-aggregations",
    ),
    (
        {"a": {"terms": {"field": "model_id", "order": {"b": "asc"}}}},
        "aggregation_execution_exception",
        "The provided aggregation [b] either does not exist",
    ),
    ({"a": {"date_histogram": {"field": "data_start_time"}}}, "illegal_argument_exception", "Invalid interval"),
    (
        {"a": {"date_histogram": {"field": "data_start_time", "fixed_interval": "1ms"}}},
        "too_many_buckets_exception",
        "Trying to create too many buckets",
    ),
    ({"a": {"reverse_nested": {}}}, "illegal_argument_exception", "can only be used inside a [nested]"),
    (
        {"a": {"bucket_sort": {"sort": ["_key"]}}},
        "action_request_validation_exception",
        "Validation Failed: 1: bucket_sort aggregation [a] must be declared inside of another aggregation;",
    ),
    (
        {"a": {"terms": {"field": "model_id"}, "aggs": {"s": {"bucket_sort": {"sort": [{"zz": "desc"}]}}}}},
        "action_request_validation_exception",
        "Validation Failed: 1: No aggregation found for path [zz];",
    ),
    (
        {"a": {"cardinality": {"field": "model_id", "precision_threshold": -1}}},
        "illegal_argument_exception",
        "[precisionThreshold] must be greater than or equal to 0. Found [-1]",
    ),
    (
        {"a": {"date_histogram": {"field": "data_start_time", "fixed_interval": "1d", "extended_bounds": BACKWARDS}}},
        "illegal_argument_exception",
        "[extended_bounds.min][5] cannot be greater than [extended_bounds.max][1]",
    ),
    (
        {"a": {"histogram": {"field": "anomaly_grade", "interval": 1, "extended_bounds": BACKWARDS}}},
        "illegal_argument_exception",
        "max bound [1.0] must be greater than min bound: [5.0]",
    ),
    ({"a": {"top_hits": {"size": 101}}}, "illegal_argument_exception", "Top hits result window is too large"),
    (
        {"a": {"composite": {"sources": [{"m": {"terms": {"field": "model_id"}}}], "after": {"n": "x"}}}},
        "illegal_argument_exception",
        "Missing value for [after.m]",
    ),
    (
        {"a": {"max": {"field": "data_start_time", "format": "QQ"}}},
        "illegal_argument_exception",
        "Invalid format: [QQ]: Unknown pattern letter: Q",
    ),
    ({"a": {"max": {"field": "data_start_time", "format": 5}}}, "parsing_exception", "format"),
]


def test_dates_are_written_in_the_format_asked_for() -> None:
    day = {"field": "data_start_time", "format": "dd.MM.yyyy"}
    found = run(
        {
            "top": {"max": day},
            "all": {"extended_stats": {**day, "format": "epoch_second"}},
            "days": {"date_histogram": {**day, "fixed_interval": "1d", "keyed": True}},
            "hours": {
                "date_histogram": {
                    "field": "data_start_time", "format": "HH:mm XXX", "calendar_interval": "1h", "time_zone": "+02:00"
                }
            },
            "starts": {"terms": {**day, "size": 1, "show_term_doc_count_error": True}},
            "since": {"date_range": {**day, "ranges": [{"from": "24.11.2026"}]}},
        }
    )  # fmt: skip
    assert found["top"]["value_as_string"] == "24.11.2026"
    assert found["all"]["min_as_string"] == str(START // 1000)
    assert list(found["days"]["buckets"]) == ["24.11.2026"]
    assert found["hours"]["buckets"][0]["key_as_string"] == "06:00 +02:00"
    assert found["starts"]["buckets"][0]["key_as_string"] == "24.11.2026"
    assert found["starts"]["buckets"][0]["doc_count_error_upper_bound"] == 0
    assert found["since"]["buckets"][0]["key"] == "24.11.2026-*"


@pytest.mark.parametrize(("aggregations", "kind", "reason"), REFUSED, ids=[str(body) for body, _, _ in REFUSED])
def test_what_can_not_be_aggregated_is_refused(aggregations: Any, kind: str, reason: str) -> None:
    with pytest.raises(Refused) as refused:
        run(aggregations)
    assert (refused.value.status, refused.value.kind) == (400, kind)
    assert reason in refused.value.reason
