"""A parsing error says where in the body the parser stopped."""

from __future__ import annotations

import orjson
import pytest

from api.http.parsing import read, read_object
from api.search.request import parse_search
from schemas.errors import Refused


def refused(body: str) -> Refused:
    text = body.replace("^", "").encode()
    with pytest.raises(Refused) as caught:
        read(text, orjson.loads(text), parse_search)
    return caught.value


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ('{"query": {"trem": ^{"a": 1}}}', "unknown query [trem]"),
        ('{"size": 1, "query": {"constant_score": {"filter": {"nope": ^{}}}}}', "unknown query [nope]"),
        ('{"query": {"constant_score": {"filter": {"match_all": {}}, "x": ^1}}}', "[constant_score] query does not"),
        ('{"query": {"term": ^1}}', "[term] query malformed, no start_object after query name"),
        ('{"query": {"term": {"a": {"value": 1, "x": ^2}}}}', "[term] query does not support [x]"),
        ('{"query": {"term": {"a": ^[1]}}}', "[term] query does not support array of values"),
        (
            '{"query": {"term": {"a": 1}, ^"match_all": {}}}',
            "[term] malformed query, expected [END_OBJECT] but found [FIELD_NAME]",
        ),
        ('{"nope": ^1}', "Unknown key for a VALUE_NUMBER in [nope]."),
        ('{"size": 0, "nope": ^[{"a": 1}]}', "Unknown key for a START_ARRAY in [nope]."),
        ('{"aggs": {"a": {"nope": ^{}}}}', "Unknown aggregation type [nope]"),
        ('{"aggs":\n  {"a": {"terms": {"field": "x"}, "max": ^{"field": "y"}}}}', "Found two aggregation type"),
        ('{"aggs": {"a": {^}}}', "Missing definition for aggregation [a]"),
        ('{"query": {"term": {"a": {"x": ^1}}}}', "[term] query does not support [x]"),
        ('{"query": {"exists": {^}}}', "[exists] must be provided with a [field]"),
        ('{"query": {"exists": {"x": ^1}}}', "[exists] query does not support [x]"),
        ('{"query": {"match": {"a": {}^}}}', "No text specified for text query"),
    ],
)
def test_the_position(body: str, reason: str) -> None:
    found = refused(body)
    assert found.reason.startswith(reason)
    before = body.partition("^")[0].split("\n")
    assert (found.details["line"], found.details["col"]) == (len(before), len(before[-1]) + 1)


def test_the_position_of_an_empty_clause_is_in_the_reason() -> None:
    assert refused('{"query": {}}').reason == "query malformed, empty clause found at [1:12]"


@pytest.mark.parametrize(
    ("text", "search", "found", "col"),
    [
        (b"[1]", False, "Failed to parse object: expecting token of type [START_OBJECT] but found [START_ARRAY]", 1),
        (b'  "a"', False, "Failed to parse object: expecting token of type [START_OBJECT] but found [VALUE_STRING]", 3),
        (b"  ", False, "Failed to parse object: expecting token of type [START_OBJECT] but found [null]", 3),
        (b"12", True, "Expected [START_OBJECT] but found [VALUE_NUMBER]", 1),
        (b"null", True, "Expected [START_OBJECT] but found [VALUE_NULL]", 1),
    ],
)
def test_a_body_must_be_an_object(text: bytes, search: bool, found: str, col: int) -> None:
    with pytest.raises(Refused) as caught:
        read_object(text, search=search)
    assert (caught.value.reason, caught.value.kind) == (found, "parsing_exception")
    assert caught.value.details == {"line": 1, "col": col}
