from __future__ import annotations

from typing import Any

import pytest

from api.search import DETECTORS, RESULTS, parse_search
from schemas.errors import Refused
from tests.api.search.documents import Found, ids, numbered, search


def test_the_whole_answer() -> None:
    answer = search({"query": {"bool": {"filter": [{"term": {"state": "FAILED"}}]}}, "_source": ["state"]})
    assert answer.pop("took") >= 0
    assert answer == {
        "timed_out": False,
        "_shards": {"total": 1, "successful": 1, "skipped": 0, "failed": 0},
        "hits": {
            "total": {"value": 1, "relation": "eq"},
            "max_score": 0.0,
            "hits": [
                {
                    "_index": "index",
                    "_id": "b",
                    "_version": 1,
                    "_seq_no": 1,
                    "_primary_term": 1,
                    "_score": 0.0,
                    "_source": {"state": "FAILED"},
                }
            ],
        },
    }


@pytest.mark.parametrize(
    ("body", "best"),
    [
        ({}, 1.0),
        ({"query": {"term": {"state": "FINISHED"}}}, 1.0),
        ({"query": {"term": {"state": {"value": "FINISHED", "boost": 3}}}}, 3.0),
        ({"query": {"bool": {"filter": {"match_all": {}}}}}, 0.0),
        ({"query": {"bool": {"must_not": {"term": {"state": "FAILED"}}}}}, 0.0),
        ({"query": {"bool": {"must": [{"match_all": {}}, {"term": {"state": "FAILED"}}]}}}, 2.0),
        ({"query": {"constant_score": {"filter": {"match_all": {}}, "boost": 4}}}, 4.0),
        ({"size": 0}, None),
        ({"sort": "state"}, None),
        ({"sort": "state", "track_scores": True}, 1.0),
        ({"query": {"match_none": {}}}, None),
    ],
)
def test_the_best_score(body: dict[str, Any], best: float | None) -> None:
    assert search(body)["hits"]["max_score"] == best


def test_hits_with_more_of_what_is_wanted_come_first() -> None:
    should = [{"term": {"state": "FINISHED"}}, {"term": {"parent_task_id": "p2"}}]
    assert ids(search({"query": {"bool": {"must": {"match_all": {}}, "should": should}}})) == "dcab"


@pytest.mark.parametrize(
    ("sort", "order"),
    [
        ("execution_start_time", "bacd"),
        ([{"execution_start_time": "desc"}], "dcab"),
        ({"execution_start_time": {"order": "desc"}}, "dcab"),
        ([{"state": "desc"}, {"execution_start_time": "desc"}], "adcb"),
        ([{"state": "asc"}, {"_id": "desc"}], "bdca"),
        ([{"parent_task_id": "asc"}], "cdab"),
        ([{"parent_task_id": {"order": "desc"}}], "dcab"),
        ([{"parent_task_id": {"order": "desc", "missing": "_first"}}], "abdc"),
        ([{"parent_task_id": {"missing": "p15"}}], "cabd"),
        ([{"none": {"unmapped_type": "long"}}, {"_seq_no": "desc"}], "dcba"),
        ([{"entity.value": {"nested": {"path": "entity"}}}], "cdab"),
        (
            [{"entity.value": {"nested": {"path": "entity", "filter": {"term": {"entity.name": "host"}}}}}],
            "dcab",
        ),
        ([{"is_latest": "desc"}], "acbd"),
        ("_doc", "abcd"),
        ("_score", "abcd"),
    ],
    ids=str,
)
def test_hits_come_in_the_order_that_was_asked_for(sort: Any, order: str) -> None:
    assert ids(search({"sort": sort})) == order


def test_sort_values_are_shown() -> None:
    answer = search({"sort": [{"parent_task_id": "asc"}, {"estimated_minutes_left": "desc"}, {"task_progress": "asc"}]})
    assert [hit["sort"] for hit in answer["hits"]["hits"]] == [
        ["p1", -(2**63), 1.0],
        ["p2", -(2**63), 1.0],
        [None, 7, 0.5],
        [None, -(2**63), 0.0],
    ]


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_pages_after_the_last_hit_seen_give_every_hit_once(order: str) -> None:
    sort = [{"parent_task_id": order}, {"is_latest": order}, {"_id": "asc"}]
    whole, pages, after = ids(search({"sort": sort})), "", None
    while True:
        body: dict[str, Any] = {"sort": sort, "size": 1}
        page = search(body if after is None else {**body, "search_after": after})
        if not page["hits"]["hits"]:
            break
        pages += ids(page)
        after = page["hits"]["hits"][-1]["sort"]
    assert pages == whole
    assert sorted(pages) == list("abcd")


def test_pages_by_number() -> None:
    assert ids(search({"from": 1, "size": 2})) == "bc"
    assert ids(search({"from": 9})) == ""


@pytest.mark.parametrize(
    ("tracked", "total"),
    [
        (True, {"value": 4, "relation": "eq"}),
        (2, {"value": 2, "relation": "gte"}),
        (4, {"value": 4, "relation": "eq"}),
        (False, None),
    ],
)
def test_hits_are_counted_as_far_as_is_asked(tracked: Any, total: Any) -> None:
    assert search({"track_total_hits": tracked})["hits"].get("total") == total


def test_more_than_ten_thousand_hits_are_not_counted_unless_asked() -> None:
    many = [Found(str(number), 1, number, {}) for number in range(10_001)]
    assert search({"size": 0}, many)["hits"]["total"] == {"value": 10_000, "relation": "gte"}
    assert search({"size": 0, "track_total_hits": True}, many)["hits"]["total"]["value"] == 10_001


DETECTOR = {
    "name": "cpu",
    "ui_metadata": {"a": 1},
    "indices": ["m"],
    "rules": [{"action": "X", "conditions": [{"value": 1, "operator": "LTE"}]}],
}


@pytest.mark.parametrize(
    ("wanted", "shown"),
    [
        (None, DETECTOR),
        (True, DETECTOR),
        (False, DETECTOR),  # as the live node
        ("name", {"name": "cpu"}),
        (["name", "ind*"], {"name": "cpu", "indices": ["m"]}),
        ({"excludes": ["ui_metadata", "rules"]}, {"name": "cpu", "indices": ["m"]}),
        ({"includes": ["rules"], "excludes": ["*.conditions"]}, {"rules": [{"action": "X"}]}),
        ({"include": ["rules.conditions.value"]}, {"rules": [{"conditions": [{"value": 1}]}]}),
        ({"includes": "*a*.a"}, {"ui_metadata": {"a": 1}}),
        (["nothing"], {}),
    ],
    ids=str,
)
def test_the_source_is_shown_as_asked(wanted: Any, shown: Any) -> None:
    answer = search({"_source": wanted}, numbered({"x": DETECTOR}), DETECTORS)
    assert answer["hits"]["hits"][0]["_source"] == shown


def test_values_of_fields_and_collapsed_hits() -> None:
    answer = search({"docvalue_fields": ["execution_start_time"], "fields": ["state", "nothing"], "size": 1})
    assert answer["hits"]["hits"][0]["fields"] == {
        "execution_start_time": ["2026-11-24T04:06:01.317Z"],
        "state": ["RUNNING"],
    }
    collapsed = search({"collapse": {"field": "state"}, "sort": [{"execution_start_time": "desc"}]})
    assert ids(collapsed) == "dab"
    assert collapsed["hits"]["hits"][0]["fields"] == {"state": ["FINISHED"]}
    assert collapsed["hits"]["total"]["value"] == 4


def test_a_post_filter_leaves_the_aggregations_alone() -> None:
    body = {"post_filter": {"term": {"state": "FAILED"}}, "aggs": {"n": {"value_count": {"field": "state"}}}}
    answer = search(body)
    assert (ids(answer), answer["aggregations"]) == ("b", {"n": {"value": 4}})


REFUSED: list[tuple[Any, str, str]] = [
    ([], "parsing_exception", "Expected [START_OBJECT] but found [START_ARRAY]"),
    ({"foo": 1}, "parsing_exception", "Unknown key for a VALUE_NUMBER in [foo]."),
    ({"query": []}, "parsing_exception", "Unknown key for a START_ARRAY in [query]."),
    ({"query": {"bogus": {}}}, "parsing_exception", "unknown query [bogus]"),
    ({"size": -1}, "illegal_argument_exception", "[size] parameter cannot be negative, found [-1]"),
    ({"from": -3}, "illegal_argument_exception", "[from] parameter cannot be negative, found [-3]"),
    ({"size": 20_000}, "illegal_argument_exception", "Result window is too large"),
    ({"size": "x"}, "number_format_exception", 'For input string: "x"'),
    ({"sort": [{"nofield": "asc"}]}, "query_shard_exception", "No mapping found for [nofield] in order to sort on"),
    ({"sort": ["state:desc"]}, "query_shard_exception", "No mapping found for [state:desc] in order to sort on"),
    (
        {"sort": [{"nofield": {"unmapped_type": "bogus"}}]},
        "illegal_argument_exception",
        "No mapper found for type [bogus]",
    ),
    ({"sort": [{"error": "asc"}]}, "illegal_argument_exception", "set fielddata=true on [error]"),
    ({"sort": {"state": {"order": "up"}}}, "x_content_parse_exception", "[field_sort] failed to parse field [order]"),
    ({"sort": {"state": {"oder": "asc"}}}, "x_content_parse_exception", "unknown field [oder]"),
    ({"search_after": [1]}, "illegal_argument_exception", "Sort must contain at least one field."),
    ({"search_after": [1, 2], "sort": "state"}, "illegal_argument_exception", "has 2 value(s) but sort has 1."),
    ({"search_after": [1], "sort": "state", "from": 5}, "action_request_validation_exception", "`from` parameter"),
    ({"highlight": {}}, "parsing_exception", "[highlight] is not supported"),
    ({"timeout": "5 parsecs"}, "illegal_argument_exception", "failed to parse setting [timeout]"),
    ({"collapse": {"field": "nofield"}}, "illegal_argument_exception", "no mapping found for `nofield`"),
]


@pytest.mark.parametrize(("body", "kind", "reason"), REFUSED, ids=[str(body) for body, _, _ in REFUSED])
def test_what_can_not_be_searched_is_refused_in_opensearchs_words(body: Any, kind: str, reason: str) -> None:
    with pytest.raises(Refused) as refused:
        search(body)
    assert (refused.value.status, refused.value.kind) == (400, kind)
    assert reason in refused.value.reason


def test_compatible_members_are_taken() -> None:
    body = {"version": False, "seq_no_primary_term": False, "timeout": "10s", "stats": ["a"], "explain": False}
    assert parse_search(body).size == 10
    assert "_version" in search(body)["hits"]["hits"][0]


def test_alerting_asks_for_the_last_two_hours() -> None:
    body = {
        "size": 1,
        "query": {
            "bool": {
                "filter": [
                    {"range": {"execution_end_time": {"from": "now-2h", "to": "now", "include_lower": True}}},
                    {"term": {"detector_id": "d"}},
                ]
            }
        },
        "sort": [{"anomaly_grade": "desc"}, {"confidence": "desc"}],
        "aggs": {"max_anomaly_grade": {"max": {"field": "anomaly_grade"}}},
    }
    results = numbered(
        {
            "old": {"detector_id": "d", "execution_end_time": 1, "anomaly_grade": 1.0, "confidence": 0.1},
            "low": {"detector_id": "d", "execution_end_time": 1795493335000, "anomaly_grade": 0.2, "confidence": 0.9},
            "top": {"detector_id": "d", "execution_end_time": 1795493335000, "anomaly_grade": 0.7, "confidence": 0.5},
        }
    )
    answer = search(body, results, RESULTS)
    assert answer["hits"]["hits"][0]["sort"] == [0.7, 0.5]
    assert answer["aggregations"] == {"max_anomaly_grade": {"value": 0.7}}
