"""Both back ends find what the suite of cases says, in documents with mappings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import duckdb
import pytest

from api.search import DETECTORS, RESULTS, TASKS, matching_documents
from api.search.sql.writer import Parameters, Writer, add_functions
from schemas.errors import Refused
from schemas.query import bind, parse_query
from tests.api.search.documents import TASK_DOCUMENTS, Found
from tests.schemas.query.clauses import CLAUSES, NOW, TEXTS

CASES = CLAUSES + TEXTS
COLUMNS = {
    **dict.fromkeys(("id", "state", "task_type", "error", "detector_id", "parent_task_id", "worker_node"), "VARCHAR"),
    "is_latest": "BOOLEAN",
    "task_progress": "DOUBLE",
    "estimated_minutes_left": "BIGINT",
    "execution_start_time": "BIGINT",
    "detection_date_range": "STRUCT(start_time BIGINT, end_time BIGINT)",
    "entity": "STRUCT(name VARCHAR, value VARCHAR)[]",
}


@pytest.fixture(scope="module")
def table() -> Iterator[duckdb.DuckDBPyConnection]:
    """The same documents in DuckDB."""
    with duckdb.connect() as connection:
        add_functions(connection)
        connection.execute(f"CREATE TABLE tasks ({', '.join(map(' '.join, COLUMNS.items()))})")
        for hit in TASK_DOCUMENTS:
            row = {"id": hit.id, **hit.source}
            names = ", ".join(f"${name}" if name in row else "NULL" for name in COLUMNS)
            connection.execute(f"INSERT INTO tasks VALUES ({names})", row)
        yield connection


@pytest.mark.parametrize(("body", "found"), CASES, ids=[str(body) for body, _ in CASES])
def test_every_clause_finds_its_documents_in_memory(body: dict[str, Any], found: str) -> None:
    hits = matching_documents(parse_query(body), TASK_DOCUMENTS, TASKS, NOW)
    assert "".join(hit.id for hit in hits) == found


@pytest.mark.parametrize(("body", "found"), CASES, ids=[str(body) for body, _ in CASES])
def test_every_clause_finds_its_documents_by_sql(
    table: duckdb.DuckDBPyConnection, body: dict[str, Any], found: str
) -> None:
    writer = Writer(COLUMNS, Parameters())
    sql = f"SELECT id FROM tasks WHERE {writer.condition(bind(parse_query(body), TASKS, NOW))} ORDER BY id"
    assert "".join(id for (id,) in table.execute(sql, writer.parameters.of(sql)).fetchall()) == found


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
