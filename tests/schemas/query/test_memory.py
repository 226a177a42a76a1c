"""The back end in memory on records of a topic, which have no mapping."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import Refused
from schemas.query import RECORDS, Documents, bind, compile_condition, compile_filter, compile_query, parse_query
from tests.schemas.query.clauses import CLAUSES, DOCUMENTS, NOW


def matches(query: Any, document: Any) -> bool:
    return compile_query(query)(document)


@pytest.mark.parametrize(("body", "found"), CLAUSES, ids=[str(body) for body, _ in CLAUSES])
def test_every_clause_finds_its_documents(body: dict[str, Any], found: str) -> None:
    test = compile_condition(bind(parse_query(body), RECORDS, NOW))
    wanted = test(Documents([{"_id": id, **document} for id, document in DOCUMENTS.items()]))
    assert "".join(id for id, is_wanted in zip(DOCUMENTS, wanted, strict=True) if is_wanted) == found


def test_a_text_of_a_record_is_compared_as_a_whole() -> None:
    hosts = Documents([{"host": f"host-{number:02}"} for number in range(5)])
    for query in (
        {"match": {"host": "host-03"}},
        {"match": {"host.keyword": "host-03"}},
        {"match_phrase": {"host": "host-03"}},
        {"query_string": {"query": "host:host-03"}},
        {"query_string": {"query": "host-03"}},
        {"query_string": {"query": 'host:"host-03"'}},
        {"multi_match": {"query": "host-03", "fields": ["ho*"]}},
    ):
        assert compile_filter(parse_query(query))(hosts).tolist() == [False, False, False, True, False], query


@pytest.mark.parametrize(
    ("body", "document"),
    [
        ({"term": {"a.b": 1}}, {"a": {"b": 1}}),
        ({"term": {"a.b": 1}}, {"a.b": 1}),
        ({"term": {"a.b": 1}}, {"a": [{"b": 2}, {"b": [3, 1]}]}),
        ({"term": {"host.keyword": "x"}}, {"host": "x"}),
        ({"term": {"n": "5"}}, {"n": 5}),
        ({"term": {"n": 5}}, {"n": "5"}),
        ({"range": {"t": {"gte": 1795493468251}}}, {"t": "2026-11-24T04:11:08.251Z"}),
        ({"range": {"t": {"gte": "2026-11-24"}}}, {"t": 1795493468251}),
        ({"range": {"cpu": {"gt": "5"}}}, {"cpu": [1, 6]}),
        ({"exists": {"field": "a"}}, {"a": {"b": 0}}),
        ({"exists": {"field": "a"}}, {"a.b": 0}),
        ({"exists": {"field": "a.b"}}, {"a": {"b.c": 0}}),
        ({"query_string": {"query": "*", "default_field": "n*"}}, {"n": False}),
    ],
)
def test_records_without_a_mapping_are_read_by_their_own_types(body: Any, document: Any) -> None:
    assert matches(parse_query(body), document)
    assert not matches(parse_query(body), {})


def test_date_math_needs_to_be_told_the_time() -> None:
    with pytest.raises(Refused, match="now"):
        compile_filter(parse_query({"range": {"t": {"gt": "now-1h"}}}))


@pytest.mark.parametrize(
    "document", [{}, {"a": None}, {"a": []}, {"a": [None]}, {"a": {}}, {"a": {"b": None}}, {"b": 1}]
)
def test_what_holds_no_value_does_not_exist(document: Any) -> None:
    assert not matches(parse_query({"exists": {"field": "a"}}), document)


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
    {"match": {"a": ""}},
    {"constant_score": {"filter": {"term": {"b": "x"}}}},
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
def test_many_records_are_judged_as_one_by_one(query: dict[str, Any], first: list[Any], second: list[Any]) -> None:
    documents = [
        {name: value for name, value in (("a", a), ("b", b)) if value is not None}
        for a, b in zip(first, second, strict=True)
    ]
    test = compile_filter(parse_query(query))
    assert test(Documents(documents)).tolist() == [bool(test(Documents([one]))[0]) for one in documents]


def test_more_texts_than_are_remembered_are_judged_right() -> None:
    test = compile_filter(parse_query({"prefix": {"a": "7"}}))
    values = [str(number) for number in range(70_000)] * 2
    wanted = [value.startswith("7") for value in values]
    assert test(Documents([{"a": value} for value in values])).tolist() == wanted
