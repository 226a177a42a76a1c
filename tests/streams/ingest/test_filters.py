from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.query import compile_query, parse_query
from streams.ingest.filters import compile_filter

QUERIES: list[dict[str, Any]] = [
    {"match_all": {}},
    {"match_none": {}},
    {"term": {"a": "x"}},
    {"term": {"a": 5}},
    {"term": {"a": True}},
    {"terms": {"a": ["x", 5, 2.5]}},
    {"range": {"a": {"gte": 2, "lt": 5}}},
    {"range": {"a": {"gt": 2, "lte": 5.5}}},
    {"range": {"a": {}}},
    {"range": {"a": {"gte": "2"}}},
    {"range": {"a": {"gte": "2024-01-01"}}},
    {"range": {"a": {"gt": 2**53}}},
    {"exists": {"field": "a"}},
    {"prefix": {"a": "x"}},
    {"wildcard": {"a": "?y*"}},
    {"match": {"a": "x y"}},
    {"match": {"a": {"query": "", "zero_terms_query": "all"}}},
    {"constant_score": {"filter": {"term": {"b": "x"}}}},
    {"dis_max": {"queries": [{"term": {"a": "x"}}, {"term": {"b": "x"}}]}},
    {"bool": {}},
    {"bool": {"must_not": [{"exists": {"field": "b"}}]}},
    {"bool": {"must": [{"exists": {"field": "a"}}], "should": [{"term": {"b": "x"}}]}},
    {"bool": {"should": [{"term": {"a": "x"}}, {"range": {"a": {"gte": 2}}}, {"exists": {"field": "b"}}]}},
    {
        "bool": {
            "should": [{"term": {"a": "x"}}, {"term": {"b": "x"}}, {"exists": {"field": "b"}}],
            "minimum_should_match": 2,
            "filter": [{"exists": {"field": "a"}}],
        }
    },
    {"bool": {"filter": [{"bool": {"must_not": [{"term": {"a": "x"}}]}}], "must": [{"range": {"b": {"lt": 3}}}]}},
]
TEXTS = st.none() | st.sampled_from(["x", "X", "x y", "zy", "", "5", "2024-06-01T00:00:00Z"])
NUMBERS = st.none() | st.integers(-3, 8) | st.floats(-3, 8) | st.sampled_from([2**53, 2**53 + 1, -(2**60)])
ANYTHING = TEXTS | NUMBERS | st.booleans() | st.lists(st.integers(0, 6) | st.just("x"), min_size=1, max_size=3)
LISTS = [st.lists(each, min_size=6, max_size=6) for each in (TEXTS, NUMBERS, ANYTHING)]


@pytest.mark.parametrize("query", QUERIES, ids=str)
@given(first=st.one_of(LISTS), second=st.one_of(LISTS))
def test_many_points_are_judged_as_one_by_one(query: dict[str, Any], first: list[Any], second: list[Any]) -> None:
    parsed = parse_query(query)
    columns = {"a": first, "b": second}
    test, matches = compile_filter(parsed), compile_query(parsed)
    assert test is not None
    documents = [
        {path: values[place] for path, values in columns.items() if values[place] is not None} for place in range(6)
    ]
    assert test(columns.__getitem__, 6).tolist() == [matches(document) for document in documents]


def test_more_texts_than_are_remembered_are_judged_right() -> None:
    test = compile_filter(parse_query({"prefix": {"a": "7"}}))
    assert test is not None
    values = [str(number) for number in range(70_000)] * 2
    assert test(lambda path: values, len(values)).tolist() == [value.startswith("7") for value in values]


@pytest.mark.parametrize(
    "query",
    [
        {"nested": {"path": "a", "query": {"term": {"a.b": 1}}}},
        {"bool": {"must": [{"query_string": {"query": "x"}}]}},
        {"bool": {"should": [{"ids": {"values": ["1"]}}]}},
    ],
    ids=str,
)
def test_what_has_to_see_whole_documents_says_so(query: dict[str, Any]) -> None:
    assert compile_filter(parse_query(query)) is None
