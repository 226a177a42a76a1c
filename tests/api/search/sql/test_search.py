"""Sorts, pages and aggregations give the same answer from the results store as from memory."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.results.store import ResultsStore
from api.search import RESULTS, parse_search, search_documents
from schemas.errors import Refused
from tests.api.results.records import NOW, ask, filled
from tests.api.search.documents import Found

DAY = 86_400_000
HOSTS = [f"host-{number}" for number in range(7)]


def _results() -> list[dict[str, Any]]:
    chance = random.Random(7)
    results = []
    for at in range(300):
        host, start = chance.choice(HOSTS), NOW - chance.randrange(90 * DAY)
        one: dict[str, Any] = {
            "detector_id": chance.choice(["d1", "d2"]),
            "data_start_time": start,
            "data_end_time": start + 60_000,
            "model_id": f"m-{host}",
            "anomaly_grade": chance.choice([0.0, 0.0, 0.25, 0.5, 1.0]),
            "confidence": chance.randrange(9) / 8,
            "entity": [
                {"name": "host", "value": host},
                {"name": "region", "value": chance.choice(["eu", "us"])},
            ],
            "feature_imputed": [{"feature_id": "f", "imputed": chance.random() < 0.5}],
        }
        if chance.random() < 0.3:
            one["task_id"] = chance.choice(["t1", "t2", "t3"])
        if chance.random() < 0.1:
            one["error"] = "No data in current detection window"
        if chance.random() < 0.8:
            one["schema_version"] = chance.randrange(4)
        results.append({"id": f"r{at:03}", **one})
    return results


ALL = _results()
HITS = [
    Found(one["id"], 1, at, {name: value for name, value in one.items() if name != "id"}) for at, one in enumerate(ALL)
]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ResultsStore]:
    opened = filled(tmp_path_factory.mktemp("results"), ALL)
    yield opened
    opened.close()


def same(store: ResultsStore, body: Any) -> Any:
    """The answer, which is the same from both."""
    expected = search_documents(parse_search(body), HITS, RESULTS, "index", NOW)
    found = ask(store, body)
    assert _comparable(found) == _comparable(expected), body
    return found


def _comparable(value: Any) -> Any:
    """Without ``took``, and with numbers as exact as sums of fractions are."""
    if isinstance(value, dict):
        return {name: _comparable(one) for name, one in value.items() if name != "took"}
    if isinstance(value, list):
        return [_comparable(one) for one in value]
    return float(f"{value:.10g}") if isinstance(value, float) else value


SEARCHES: list[dict[str, Any]] = [
    {},
    {"from": 290, "size": 20},
    {"size": 0},
    {"track_total_hits": False},
    {"track_total_hits": 50},
    {"track_total_hits": True, "size": 1},
    {"query": {"bool": {"filter": [{"term": {"detector_id": "d1"}}]}}},
    {"query": {"bool": {"must": [{"term": {"task_id": "t1"}}], "should": [{"term": {"detector_id": "d1"}}]}}},
    {
        "query": {"multi_match": {"query": "t1", "fields": ["task_id^3", "model_id", "detector_*^0.5"]}},
        "from": 3,
    },
    {"post_filter": {"term": {"task_id": "t2"}}, "aggs": {"n": {"value_count": {"field": "task_id"}}}},
    {
        "sort": ["_score", {"_id": "desc"}],
        "query": {"bool": {"should": [{"term": {"task_id": "t1"}}, {"match_all": {}}]}},
    },
    {"sort": [{"anomaly_grade": "desc"}, "_id"], "track_scores": True},
    {"sort": "_doc", "size": 3},
    {"sort": {"_seq_no": "desc"}, "size": 3},
    {"sort": [{"nothing": {"unmapped_type": "long", "order": "desc"}}, "_id"]},
    {"sort": [{"entity.value": {"order": "asc", "nested": {"path": "entity"}}}, "_id"]},
    {
        "sort": [
            {
                "entity.value": {
                    "order": "desc",
                    "mode": "max",
                    "nested": {"path": "entity", "filter": {"term": {"entity.name": "region"}}},
                }
            },
            "_id",
        ]
    },
    {"collapse": {"field": "model_id"}, "sort": [{"confidence": "desc"}, {"_id": "desc"}]},
    {"collapse": {"field": "task_id"}, "sort": ["_id"], "_source": ["task_id"]},
    {"_source": False, "docvalue_fields": ["data_start_time", {"field": "data_end_time", "format": "epoch_millis"}]},
    {"_source": {"includes": ["entity.*"], "excludes": ["entity.name"]}, "size": 2},
]


@pytest.mark.parametrize("body", SEARCHES, ids=json.dumps)
def test_hits(store: ResultsStore, body: dict[str, Any]) -> None:
    assert same(store, body)["_shards"]["failed"] == 0


keys = st.sampled_from(["task_id", "anomaly_grade", "data_start_time", "schema_version", "detector_id"])
orders = st.fixed_dictionaries(
    {"order": st.sampled_from(["asc", "desc"])}, optional={"missing": st.sampled_from(["_first", "_last", "2"])}
)


@given(st.lists(st.tuples(keys, orders), min_size=1, max_size=3), st.integers(20, 90))
@settings(max_examples=25, deadline=None)
def test_pages_behind_each_other_are_the_whole(store: ResultsStore, sort: list[Any], size: int) -> None:
    for _, order in sort:
        if order.get("missing") == "2":
            order["missing"] = 2
    body = {"size": size, "sort": [*({key: order} for key, order in sort), {"_id": "asc"}], "_source": False}
    whole = same(store, {**body, "size": 1000})["hits"]["hits"]
    pages: list[Any] = []
    after = None
    while page := same(store, {**body, **({} if after is None else {"search_after": after})})["hits"]["hits"]:
        pages += page
        after = page[-1]["sort"]
    assert [hit["_id"] for hit in pages] == [hit["_id"] for hit in whole]


GRADE: dict[str, Any] = {"top": {"max": {"field": "anomaly_grade"}}}
BEST: dict[str, Any] = {
    "best": {"top_hits": {"size": 2, "sort": [{"anomaly_grade": "desc"}, "_id"], "_source": ["entity"]}}
}
FIELD = {"field": "anomaly_grade"}
AGGREGATIONS: list[dict[str, Any]] = [
    {
        kind: {kind: {**FIELD, **more}}
        for more in ({}, {"missing": 0.7})
        for kind in ("min", "max", "avg", "sum", "extended_stats", "value_count", "cardinality", "percentiles")
    },
    {"m": {"extended_stats": {"field": "data_start_time"}}, "n": {"avg": {"field": "schema_version", "missing": 9}}},
    {"m": {"max": {"field": "nothing"}}, "n": {"sum": {"field": "nothing", "missing": 2}}},
    {"t": {"terms": {"field": "model_id", "size": 3}, "aggs": {**GRADE, **BEST}}},
    {"t": {"terms": {"field": "task_id", "missing": "none", "order": {"_key": "desc"}}}},
    {"t": {"terms": {"field": "schema_version", "order": [{"top": "desc"}, {"_key": "asc"}]}, "aggs": GRADE}},
    {"t": {"terms": {"field": "data_start_time", "size": 2, "order": {"_key": "asc"}}}},
    {"t": {"terms": {"field": "confidence", "include": [0.5, 1], "order": {"_key": "asc"}}}},
    {"t": {"terms": {"field": "model_id", "include": "m-host-[0-3]", "exclude": ["m-host-1"]}}},
    {
        "t": {
            "terms": {"field": "detector_id", "order": {"recent>top": "desc"}},
            "aggs": {"recent": {"filter": {"range": {"data_start_time": {"gte": "now-24d"}}}, "aggs": GRADE}},
        }
    },
    {
        "t": {
            "terms": {"field": "model_id", "size": 100},
            "aggs": {**GRADE, "s": {"bucket_sort": {"sort": [{"top": "desc"}, {"_key": "asc"}], "from": 1, "size": 2}}},
        }
    },
    {"h": {"date_histogram": {"field": "data_start_time", "fixed_interval": "7d", "offset": "123ms"}, "aggs": BEST}},
    {
        "h": {
            "date_histogram": {"field": "data_start_time", "calendar_interval": "month", "time_zone": "Europe/Berlin"},
            "aggs": {"t": {"terms": {"field": "task_id"}, "aggs": {"p": {"percentiles": {"field": "confidence"}}}}},
        }
    },
    {"h": {"date_histogram": {"field": "data_start_time", "fixed_interval": "7h", "time_zone": "America/New_York"}}},
    {"h": {"date_histogram": {"field": "data_start_time", "calendar_interval": "week", "time_zone": "+05:45"}}},
    {
        "h": {
            "date_histogram": {
                "field": "data_start_time",
                "fixed_interval": "30d",
                "extended_bounds": {"min": NOW - 200 * DAY, "max": NOW},
            },
            "aggs": {**GRADE, "t": {"terms": {"field": "task_id"}}},
        }
    },
    {"h": {"histogram": {"field": "confidence", "interval": 0.3, "offset": 0.1, "min_doc_count": 1}, "aggs": GRADE}},
    {"h": {"histogram": {"field": "schema_version", "interval": 2, "missing": 7, "keyed": True}}},
    {"r": {"range": {"field": "anomaly_grade", "ranges": [{"to": 0.3}, {"from": 0.2}, {"key": "all"}]}, "aggs": GRADE}},
    {"r": {"date_range": {"field": "data_end_time", "ranges": [{"from": "now-10d/d"}, {"to": "now-10d/d"}]}}},
    {
        "f": {
            "filters": {
                "filters": {"a": {"term": {"task_id": "t1"}}, "b": {"match": {"error": "data"}}},
                "other_bucket": True,
            },
            "aggs": GRADE,
        },
        "m": {"filter": {"bool": {"must_not": {"exists": {"field": "task_id"}}}}, "aggs": GRADE},
    },
    {
        "e": {
            "nested": {"path": "entity"},
            "aggs": {
                "names": {
                    "terms": {"field": "entity.name"},
                    "aggs": {
                        "values": {
                            "terms": {
                                "field": "entity.value",
                                "size": 3,
                                "order": [{"back>top": "desc"}, {"_key": "asc"}],
                            },
                            "aggs": {"back": {"reverse_nested": {}, "aggs": {**GRADE, **BEST}}},
                        }
                    },
                }
            },
        }
    },
    {
        "e": {
            "nested": {"path": "entity"},
            "aggs": {"eu": {"filter": {"term": {"entity.value": "eu"}}, "aggs": {"back": {"reverse_nested": {}}}}},
        },
        "i": {
            "nested": {"path": "feature_imputed"},
            "aggs": {"t": {"terms": {"field": "feature_imputed.imputed"}}, "n": {"max": {"field": "anomaly_grade"}}},
        },
    },
    {
        "c": {
            "composite": {
                "size": 5,
                "sources": [
                    {"d": {"terms": {"field": "detector_id", "order": "desc"}}},
                    {"t": {"terms": {"field": "task_id", "missing_bucket": True}}},
                    {"g": {"histogram": {"field": "confidence", "interval": 0.5}}},
                ],
                "after": {"d": "d2", "t": "t1", "g": 0.5},
            },
            "aggs": {**GRADE, **BEST},
        }
    },
    {"c": {"composite": {"sources": [{"w": {"date_histogram": {"field": "data_end_time", "fixed_interval": "30d"}}}]}}},
]


@pytest.mark.parametrize("aggregations", AGGREGATIONS, ids=json.dumps)
@pytest.mark.parametrize("query", [{"match_all": {}}, {"range": {"anomaly_grade": {"gt": 0}}}, {"match_none": {}}])
def test_aggregations(store: ResultsStore, aggregations: dict[str, Any], query: dict[str, Any]) -> None:
    found = same(store, {"size": 0, "query": query, "aggs": aggregations})
    assert set(found["aggregations"]) == set(aggregations)


@pytest.mark.parametrize("aggregations", AGGREGATIONS, ids=json.dumps)
def test_aggregations_with_more_groups_than_are_asked_together(
    store: ResultsStore, aggregations: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.search.sql.slice.TOGETHER", 1)
    found = same(store, {"size": 0, "aggs": aggregations})
    assert set(found["aggregations"]) == set(aggregations)


@pytest.mark.parametrize(
    "body",
    [
        {"sort": ["nothing"]},
        {"sort": ["error"]},
        {"aggs": {"t": {"terms": {"field": "error"}}}},
        {"aggs": {"t": {"avg": {"field": "task_id"}}}},
        {"collapse": {"field": "entity.value"}},
        {"query": {"range": {"data_start_time": {"gte": "abc"}}}},
    ],
    ids=json.dumps,
)
def test_refusals(store: ResultsStore, body: dict[str, Any]) -> None:
    with pytest.raises(Refused) as expected:
        search_documents(parse_search(body), HITS, RESULTS, "index", NOW)
    with pytest.raises(Refused) as found:
        ask(store, body)
    assert (found.value.status, found.value.reason) == (expected.value.status, expected.value.reason)
