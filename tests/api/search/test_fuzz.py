"""Whatever is asked, the answer is an answer or a refusal of the client's: no other exception, no hang."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from api.results.store import ResultsStore
from api.search import RESULTS, TASKS, parse_search, search_documents
from schemas.errors import Refused
from tests.api.results.records import NOW, ask, filled, result
from tests.api.search.documents import TASK_DOCUMENTS

NAMES = """
query bool must should filter must_not minimum_should_match term terms range gt gte lt lte from to exists field ids
values match match_phrase prefix wildcard value nested path query_string most_fields fields
default_operator constant_score type best_fields multi_match boost format time_zone sort order missing mode
unmapped_type size search_after _source includes excludes aggs aggregations min max avg sum extended_stats
value_count cardinality percentiles percents top_hits date_histogram fixed_interval calendar_interval offset
extended_bounds histogram interval date_range ranges key filters reverse_nested composite sources after bucket_sort
docvalue_fields track_total_hits collapse post_filter include exclude min_doc_count state detector_id is_latest
task_progress execution_start_time error entity entity.value task_id data_start_time anomaly_grade schema_version
feature_imputed.imputed _id _score detector.name.keyword a asc desc _count _key match_all match_none now now-1d/d
2026-11-24 1d 1M day keyword true false * 75% 3<2 +01:00 Europe/Berlin long date .* a{2,3} eu RUNNING d1 _last _first
"""
words = st.sampled_from(NAMES.split())
NUMBERS = [0, 1, -1, 0.5, 2**31, 2**63, -(2**63), 10**30, 1e308, -0.0]
scalars = st.one_of(
    words,
    st.sampled_from([None, True, False]),
    st.sampled_from(NUMBERS),
    st.sampled_from(["", "\0"]),
    st.text(max_size=8),
)
trees: st.SearchStrategy[Any] = st.recursive(
    scalars, lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(words, inner, max_size=3))
)
KINDS = {
    "query": ["bool", "term", "terms", "range", "match", "wildcard", "multi_match", "query_string", "nested", "exists"],
    "aggs": [
        "terms",
        "date_histogram",
        "histogram",
        "range",
        "filter",
        "nested",
        "composite",
        "extended_stats",
        "top_hits",
    ],
}
queries = st.tuples(st.sampled_from(KINDS["query"]), trees).map(lambda pair: {pair[0]: pair[1]})
aggregations = st.tuples(st.sampled_from(KINDS["aggs"]), trees, trees).map(
    lambda parts: {"a": {parts[0]: parts[1], "aggs": {"b": parts[2]}}}
)
fields = st.sampled_from(
    ["state", "is_latest", "execution_start_time", "anomaly_grade", "data_start_time", "error", "entity.value", "x"]
)
near_queries = st.tuples(st.sampled_from(["term", "match", "range", "prefix", "terms"]), fields, trees).map(
    lambda parts: {parts[0]: {parts[1]: parts[2]}}
)
near_aggregations = st.tuples(
    st.sampled_from(["terms", "histogram", "date_histogram", "range", "max", "percentiles"]),
    fields,
    st.dictionaries(words, trees, max_size=2),
    st.sampled_from([{}, {"interval": 0.5}, {"fixed_interval": "1h"}, {"calendar_interval": "month"}]),
).map(lambda parts: {"a": {parts[0]: {"field": parts[1], **parts[3], **parts[2]}}})
bodies = st.one_of(
    trees,
    st.fixed_dictionaries(
        {},
        optional={
            "query": st.one_of(queries, near_queries),
            "aggs": st.one_of(aggregations, near_aggregations),
            "sort": trees,
            "size": scalars,
            "from": scalars,
            "_source": trees,
            "search_after": trees,
            "collapse": trees,
            "docvalue_fields": trees,
            "track_total_hits": scalars,
        },
    ),
)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ResultsStore]:
    entity = [{"name": "host", "value": "a"}]
    results = [result("a", anomaly_grade=0.5, task_id="t", entity=entity), result("b", error="no data")]
    opened = filled(tmp_path_factory.mktemp("results"), results)
    yield opened
    opened.close()


HUGE = [
    {"query": {"range": {"execution_start_time": {"gte": 10**400}}}},
    {"query": {"term": {"task_progress": 10**5000}}},
    {"aggs": {"a": {"histogram": {"field": "anomaly_grade", "interval": 1e-300}}}},
    {
        "aggs": {
            "a": {
                "date_histogram": {
                    "field": "data_start_time",
                    "fixed_interval": "1ms",
                    "extended_bounds": {"min": 0, "max": 10**17},
                }
            }
        }
    },
    {"aggs": {"a": {"terms": {"field": "task_id", "include": "(a|a)*" * 160 + "b"}}}},
    {"query": {"wildcard": {"task_id": "*a" * 400}}},
    {"query": {"query_string": {"query": "(" * 900}}},
    {"sort": [{"execution_start_time": {"missing": 10**400}}]},
]


@given(bodies)
@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@example(HUGE[0])
@example(HUGE[1])
@example(HUGE[2])
@example(HUGE[3])
@example(HUGE[4])
@example(HUGE[5])
@example(HUGE[6])
@example(HUGE[7])
def test_every_body_is_answered_or_refused(store: ResultsStore, body: Any) -> None:
    answers: list[Callable[[], Any]] = [
        lambda: search_documents(parse_search(body), TASK_DOCUMENTS, TASKS, "index", NOW),
        lambda: search_documents(parse_search(body), TASK_DOCUMENTS, RESULTS, "index", NOW),
        lambda: ask(store, body),
    ]
    for answer in answers:
        refusal = None
        try:
            assert "hits" in answer()
        except Refused as refused:
            refusal = refused
        if refusal is not None:
            assert refusal.status in (400, 429)
            assert refusal.reason
            assert refusal.kind
