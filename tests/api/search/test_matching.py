from __future__ import annotations

from typing import Any

import pytest

from api.search import DETECTORS, RESULTS, TASKS, matching_documents
from schemas.errors import Refused
from schemas.query import parse_query
from tests.api.search.documents import TASK_DOCUMENTS, Found
from tests.schemas.query.clauses import CLAUSES, NOW


@pytest.mark.parametrize(("body", "found"), CLAUSES, ids=[str(body) for body, _ in CLAUSES])
def test_every_clause_finds_its_documents(body: dict[str, Any], found: str) -> None:
    hits = matching_documents(parse_query(body), TASK_DOCUMENTS, TASKS, NOW)
    assert "".join(hit.id for hit in hits) == found


def finds(body: Any, source: Any, types: Any = TASKS) -> bool:
    return bool(matching_documents(parse_query(body), [Found("x", 1, 0, source)], types, NOW))


def test_fields_that_are_not_mapped_have_no_values() -> None:
    assert not finds({"term": {"secret": 1}}, {"secret": 1})
    assert not finds({"exists": {"field": "secret"}}, {"secret": 1})
    assert not finds({"exists": {"field": "ui_metadata"}}, {"ui_metadata": {"a": 1}}, DETECTORS)


def test_nested_fields_are_seen_by_nested_queries_only() -> None:
    source = {"entity": [{"name": "host", "value": "host-3"}]}
    assert not finds({"term": {"entity.value": "host-3"}}, source, RESULTS)
    assert finds({"nested": {"path": "entity", "query": {"term": {"entity.value": "host-3"}}}}, source, RESULTS)
    assert not finds(
        {"nested": {"path": "entity", "query": {"term": {"task_id": "t"}}}}, {**source, "task_id": "t"}, RESULTS
    )


def test_nested_objects_inside_nested_objects() -> None:
    query = {
        "nested": {
            "path": "expected_values.value_list",
            "query": {"range": {"expected_values.value_list.data": {"gt": 5}}},
        }
    }
    source = {"expected_values": [{"likelihood": 1.0, "value_list": [{"feature_id": "f", "data": 6}]}]}
    assert finds(query, source, RESULTS)
    within = {"nested": {"path": "expected_values", "query": query}}
    assert finds(within, source, RESULTS)


def test_a_text_is_searched_by_words_and_its_keyword_as_a_whole() -> None:
    source = {"name": "Disk usage-EU"}
    assert finds({"term": {"name": "disk"}}, source, DETECTORS)
    assert not finds({"term": {"name": "Disk usage-EU"}}, source, DETECTORS)
    assert finds({"term": {"name.keyword": "Disk usage-EU"}}, source, DETECTORS)
    assert finds({"wildcard": {"name": "us*"}}, source, DETECTORS)
    assert not finds({"wildcard": {"name.keyword": "us*"}}, source, DETECTORS)


@pytest.mark.parametrize(
    ("body", "kind", "reason"),
    [
        ({"term": {"task_progress": "abc"}}, "query_shard_exception", 'For input string: "abc"'),
        ({"term": {"is_latest": "maybe"}}, "query_shard_exception", "Can't parse boolean value [maybe]"),
        ({"range": {"execution_start_time": {"gte": "abc"}}}, "parse_exception", "failed to parse date field [abc]"),
        ({"wildcard": {"task_progress": "1*"}}, "query_shard_exception", "Can only use wildcard queries on keyword"),
        (
            {"nested": {"path": "x", "query": {"match_all": {}}}},
            "query_shard_exception",
            "failed to find nested object",
        ),
        (
            {"nested": {"path": "state", "query": {"match_all": {}}}},
            "query_shard_exception",
            "path [state] is not of nested type",
        ),
        ({"term": {"task_progress": "NaN"}}, "query_shard_exception", "supports only finite values"),
        ({"range": {"task_progress": {"gt": 10**400}}}, "query_shard_exception", "is out of range for a double"),
    ],
)
def test_values_that_can_not_be_of_their_fields_type_are_refused(body: Any, kind: str, reason: str) -> None:
    with pytest.raises(Refused) as refused:
        matching_documents(parse_query(body), TASK_DOCUMENTS, TASKS, NOW)
    assert (refused.value.status, refused.value.kind) == (400, kind)
    assert reason in refused.value.reason
