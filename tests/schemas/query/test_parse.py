from __future__ import annotations

from typing import Any

import pytest

from schemas.errors import Refused
from schemas.query import parse_query, to_document
from schemas.query.errors import Limits
from schemas.query.tree import Bool, Range, Term
from tests.schemas.query.clauses import CLAUSES, TEXTS


@pytest.mark.parametrize("body", [clause for clause, _ in CLAUSES + TEXTS], ids=str)
def test_the_normalised_form_reads_back_to_the_same_tree(body: dict[str, Any]) -> None:
    query = parse_query(body)
    assert parse_query(to_document(query)) == query


def test_the_normalised_form_is_the_one_that_a_live_node_shows() -> None:
    assert to_document(parse_query({"match_all": {}})) == {"match_all": {"boost": 1.0}}
    assert to_document(parse_query({"term": {"host": "a"}})) == {"term": {"host": {"value": "a", "boost": 1.0}}}
    assert to_document(parse_query({"range": {"timestamp": {"gte": 1795493468251}}})) == {
        "range": {
            "timestamp": {
                "from": 1795493468251,
                "to": None,
                "include_lower": True,
                "include_upper": True,
                "boost": 1.0,
            }
        }
    }
    shown = to_document(parse_query({"bool": {"filter": {"exists": {"field": "cpu"}}}}))
    assert shown == {
        "bool": {"filter": [{"exists": {"field": "cpu", "boost": 1.0}}], "adjust_pure_negative": True, "boost": 1.0}
    }


def test_fields_are_those_of_every_clause() -> None:
    query = parse_query(
        {"bool": {"must": [{"term": {"a": 1}}], "must_not": {"nested": {"path": "b", "query": {"term": {"b.c": 1}}}}}}
    )
    assert query.fields() == {"a", "b.c"}


def test_the_last_bound_that_was_written_counts() -> None:
    assert parse_query({"range": {"a": {"gt": 1, "gte": 2}}}) == Range(field="a", lower=2)
    assert parse_query({"range": {"a": {"gte": 2, "gt": 1}}}) == Range(field="a", lower=1, include_lower=False)


def test_a_single_object_does_for_a_list() -> None:
    one = parse_query({"bool": {"must": {"term": {"a": 1}}}})
    assert one == Bool(must=(Term(field="a", value=1),))


REFUSED: list[tuple[Any, str, str]] = [
    ([], "parsing_exception", "[_na] query malformed, must start with start_object"),
    ({}, "illegal_argument_exception", "query malformed, empty clause found"),
    ({"term": "x"}, "parsing_exception", "[term] query malformed, no start_object after query name"),
    ({"termz": {}}, "parsing_exception", "unknown query [termz] did you mean any of [term, terms]?"),
    ({"bogus": {}}, "parsing_exception", "unknown query [bogus]"),
    ({"fuzzy": {"a": "b"}}, "parsing_exception", "[fuzzy] query is not supported"),
    (
        {"term": {"a": 1}, "range": {}},
        "parsing_exception",
        "[term] malformed query, expected [END_OBJECT] but found [FIELD_NAME]",
    ),
    ({"term": {"a": [1]}}, "parsing_exception", "[term] query does not support array of values"),
    ({"term": {"a": {"vaule": 1}}}, "parsing_exception", "[term] query does not support [vaule]"),
    ({"term": {"a": {"boost": 1}}}, "illegal_argument_exception", "value cannot be null"),
    ({"term": {"a": {"value": 1, "x": 1}}}, "parsing_exception", "[term] query does not support [x]"),
    (
        {"term": {"a": 1, "b": 2}},
        "parsing_exception",
        "[term] query doesn't support multiple fields, found [a] and [b]",
    ),
    ({"terms": {"a": "b"}}, "parsing_exception", "[terms] query does not support [a]"),
    ({"terms": {"a": [None]}}, "parsing_exception", "No value specified for terms query"),
    ({"range": {"a": {"gr": 1}}}, "parsing_exception", "[range] query does not support [gr]"),
    ({"range": {"a": 1}}, "parsing_exception", "[range] query does not support [a]"),
    ({"range": {"a": {"gt": 1, "time_zone": "Mars"}}}, "illegal_argument_exception", "Unknown time-zone ID: Mars"),
    ({"exists": {}}, "parsing_exception", "[exists] must be provided with a [field]"),
    (
        {"bool": {"mustt": []}},
        "x_content_parse_exception",
        "[bool] unknown field [mustt] did you mean any of [must, must_not]?",
    ),
    ({"bool": {"filter": [{"bogus": {}}]}}, "x_content_parse_exception", "[bool] failed to parse field [filter]"),
    ({"nested": {"path": "a"}}, "illegal_argument_exception", "[nested] requires 'query' field"),
    ({"match": {"a": {"query": "x", "fuzziness": "AUTO"}}}, "parsing_exception", "[match] query does not support"),
    ({"regexp": {"a": "b"}}, "parsing_exception", "[regexp] query is not supported"),
    ({"dis_max": {"queries": []}}, "parsing_exception", "[dis_max] query is not supported"),
    ({"query_string": {"query": "(a"}}, "parsing_exception", "Failed to parse query [(a]"),
    ({"query_string": {"query": "a~2"}}, "parsing_exception", "fuzziness"),
    ({"term": {"a": {"value": 1, "boost": -1}}}, "illegal_argument_exception", "negative [boost]"),
]


@pytest.mark.parametrize(("body", "kind", "reason"), REFUSED, ids=[str(body) for body, _, _ in REFUSED])
def test_what_is_malformed_or_unknown_is_refused_in_opensearchs_words(body: Any, kind: str, reason: str) -> None:
    with pytest.raises(Refused) as refused:
        parse_query(body)
    assert (refused.value.status, refused.value.kind) == (400, kind)
    assert reason in refused.value.reason


def test_what_is_too_much_is_refused() -> None:
    deep: dict[str, Any] = {"match_all": {}}
    for _ in range(25):
        deep = {"bool": {"must": deep}}
    with pytest.raises(Refused, match="nested depth"):
        parse_query(deep)
    with pytest.raises(Refused, match="maxClauseCount"):
        parse_query({"bool": {"should": [{"match_all": {}}] * 2000}})
    with pytest.raises(Refused, match="allowed maximum of \\[3\\]"):
        parse_query({"terms": {"a": [1, 2, 3, 4]}}, Limits(terms=3))
