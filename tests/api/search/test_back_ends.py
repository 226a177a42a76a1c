"""The two targets of the query language, a function on documents and SQL, find the same documents."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.results.store import ResultsStore
from api.search import RESULTS, matching_documents
from schemas.errors import Refused
from schemas.query import parse_query
from schemas.query.conditions import Everything
from tests.api.results.records import NOW, ask, ids, records
from tests.api.search.documents import Found

TEXTS = ["", "a", "ab", "host-1", "Host-1", "a_b%", "no data", "No data in window 1.5", "é", "x!y"]
NUMBERS = [-1.5, 0, 0.5, 1, 2, 1e300]
TIMES = [NOW - 86_400_000, NOW - 1, NOW, NOW + 1, 0, -5]

texts, numbers, times = st.sampled_from(TEXTS), st.sampled_from(NUMBERS), st.sampled_from(TIMES)
pairs = st.fixed_dictionaries({"name": texts, "value": texts})
shares = st.lists(st.fixed_dictionaries({"feature_id": texts, "data": numbers}), max_size=2)

documents = st.fixed_dictionaries(
    {"detector_id": texts, "data_start_time": times, "data_end_time": times},
    optional={
        "schema_version": st.integers(0, 7),
        "execution_end_time": times,
        "anomaly_grade": numbers,
        "confidence": numbers,
        "error": texts,
        "task_id": texts,
        "entity": st.lists(pairs, max_size=3),
        "relevant_attribution": shares,
        "expected_values": st.lists(st.fixed_dictionaries({"likelihood": numbers, "value_list": shares}), max_size=2),
        "feature_imputed": st.lists(st.fixed_dictionaries({"feature_id": texts, "imputed": st.booleans()}), max_size=2),
    },
)

FIELDS = {
    "": [
        "detector_id",
        "task_id",
        "error",
        "anomaly_grade",
        "schema_version",
        "data_end_time",
        "nothing",
        "is_anomaly",
    ],
    "entity": ["entity.name", "entity.value", "task_id"],
    "relevant_attribution": ["relevant_attribution.feature_id", "relevant_attribution.data"],
    "expected_values": ["expected_values.likelihood"],
    "expected_values.value_list": ["expected_values.value_list.feature_id", "expected_values.value_list.data"],
    "feature_imputed": ["feature_imputed.feature_id", "feature_imputed.imputed"],
}
DATES = ["now", "now-1d", "now/d", "2026-11-24", "2026-11-24T04:08:55.499Z", "1970"]
PATTERNS = ["*", "a*", "?", "host-?", "*_b%", "*!*", "[a-z]*", "a|ab", "host\\-*", ".*", "no\\**"]
scalars: st.SearchStrategy[Any] = st.one_of(texts, numbers, times, st.booleans(), st.sampled_from(DATES))


def members(name: str, *strategies: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """``{name: value}``."""
    return st.one_of(*strategies).map(lambda value: {name: value})


def leaves(scope: str) -> st.SearchStrategy[Any]:
    fields = st.sampled_from(FIELDS[scope])
    bounds = st.dictionaries(st.sampled_from(["gt", "gte", "lt", "lte"]), scalars, max_size=2)
    folded = st.tuples(texts, st.booleans()).map(lambda pair: {"value": pair[0], "case_insensitive": pair[1]})
    patterns = st.tuples(st.sampled_from(PATTERNS), st.booleans()).map(
        lambda pair: {"value": pair[0], "case_insensitive": pair[1]}
    )
    matched = st.tuples(texts, st.sampled_from(["or", "and"])).map(lambda pair: {"query": pair[0], "operator": pair[1]})
    kinds = {
        "term": st.one_of(scalars, folded),
        "terms": st.lists(scalars, max_size=3),
        "range": bounds,
        "prefix": folded,
        "wildcard": patterns,
        "match": matched,
        "match_phrase": texts,
        "match_phrase_prefix": texts,
    }
    on_fields = st.sampled_from(sorted(kinds)).flatmap(
        lambda kind: st.tuples(fields, kinds[kind]).map(lambda pair: {kind: {pair[0]: pair[1]}})
    )
    exists = fields.map(lambda field: {"exists": {"field": field}})
    return st.one_of(on_fields, exists, st.just({"match_all": {}}), st.just({"ids": {"values": ["r0", "r2"]}}))


def trees(scope: str) -> st.SearchStrategy[Any]:
    return st.recursive(leaves(scope), bools, max_leaves=5)


def bools(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    clauses = st.dictionaries(
        st.sampled_from(["must", "filter", "should", "must_not"]), st.lists(inner, max_size=2), max_size=3
    )
    needed = st.sampled_from([None, 0, 1, 2, "50%", -1])
    return st.tuples(clauses, needed).map(
        lambda pair: {"bool": pair[0] if pair[1] is None else {**pair[0], "minimum_should_match": pair[1]}}
    )


nested = st.sampled_from([scope for scope in FIELDS if scope]).flatmap(
    lambda scope: trees(scope).map(lambda query: {"nested": {"path": scope, "query": query}})
)
query_strings = st.sampled_from(
    [
        "host*",
        "task_id:a OR error:data",
        '"no data"',
        "anomaly_grade:[0 TO 1]",
        "NOT error:data",
        "+a -host",
        "1",
        "*",
        "ent*",
    ]
).map(lambda text: {"query_string": {"query": text}})
queries = st.recursive(
    st.one_of(leaves(""), nested, query_strings),
    bools,
    max_leaves=5,
)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ResultsStore]:
    opened = ResultsStore(tmp_path_factory.mktemp("results"))
    yield opened
    opened.close()


@given(st.lists(documents, min_size=1, max_size=8), st.lists(queries, min_size=1, max_size=6))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_memory_and_sql_find_the_same(store: ResultsStore, sources: list[dict[str, Any]], bodies: list[Any]) -> None:
    hits = [Found(f"r{at}", 1, at, source) for at, source in enumerate(sources)]
    store.delete(Everything())
    store.upsert(records([{"id": hit.id, **hit.source} for hit in hits]))
    for body in bodies:
        try:
            expected = [hit.id for hit in matching_documents(parse_query(body), hits, RESULTS, NOW)]
        except Refused as refused:
            with pytest.raises(Refused, match="^" + refused.reason[:20].replace("[", r"\[")):
                ask(store, {"query": body})
            continue
        assert sorted(ids(ask(store, {"query": body}))) == expected, body
