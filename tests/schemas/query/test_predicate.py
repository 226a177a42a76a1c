from __future__ import annotations

from typing import Any

import pytest

from schemas.errors import Refused
from schemas.query import compile_query, matches, parse_query
from tests.schemas.query.clauses import CLAUSES, DOCUMENTS, NOW


@pytest.mark.parametrize(("body", "found"), CLAUSES, ids=[str(body) for body, _ in CLAUSES])
def test_every_clause_finds_its_documents(body: dict[str, Any], found: str) -> None:
    test = compile_query(parse_query(body), now=NOW)
    assert "".join(id for id, document in DOCUMENTS.items() if test({"_id": id, **document})) == found


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
    ],
)
def test_records_without_a_mapping_are_read_by_their_own_types(body: Any, document: Any) -> None:
    assert matches(parse_query(body), document)
    assert not matches(parse_query(body), {})


def test_date_math_needs_to_be_told_the_time() -> None:
    with pytest.raises(Refused, match="now"):
        compile_query(parse_query({"range": {"t": {"gt": "now-1h"}}}))


@pytest.mark.parametrize(
    "document", [{}, {"a": None}, {"a": []}, {"a": [None]}, {"a": {}}, {"a": {"b": None}}, {"b": 1}]
)
def test_what_holds_no_value_does_not_exist(document: Any) -> None:
    assert not matches(parse_query({"exists": {"field": "a"}}), document)
