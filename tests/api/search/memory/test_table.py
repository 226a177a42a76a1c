from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from api.search import TASKS, DocumentTable, matching_documents
from schemas.query import parse_query
from schemas.query.bind import bind
from tests.api.search.documents import Found

INDEXED = ("detector_id", "state", "is_latest")
sources = st.fixed_dictionaries(
    {},
    optional={
        "detector_id": st.sampled_from(["d1", "d2", "d3"]),
        "state": st.sampled_from(["RUNNING", "FAILED"]),
        "is_latest": st.booleans(),
        "error": st.just("no"),
    },
)
writes = st.lists(st.tuples(st.sampled_from("abcdefgh"), st.none() | sources), max_size=30)
queries: st.SearchStrategy[dict[str, Any]] = st.recursive(
    st.one_of(
        st.sampled_from(["d1", "d2", "none"]).map(lambda value: {"term": {"detector_id": value}}),
        st.lists(st.sampled_from(["RUNNING", "FAILED", "x"]), max_size=2).map(
            lambda values: {"terms": {"state": values}}
        ),
        st.sampled_from(["true", "false"]).map(lambda value: {"term": {"is_latest": value}}),
        st.just({"exists": {"field": "error"}}),
        st.just({"ids": {"values": ["a", "b", "z"]}}),
    ),
    lambda inner: st.tuples(st.sampled_from(["filter", "should", "must_not"]), st.lists(inner, max_size=3)).map(
        lambda pair: {"bool": {pair[0]: pair[1]}}
    ),
    max_leaves=5,
)


@given(written=writes, body=queries)
@settings(max_examples=150, deadline=None)
def test_indexes_change_nothing_but_the_time_it_takes(written: list[tuple[str, Any]], body: dict[str, Any]) -> None:
    table: DocumentTable[Found] = DocumentTable(INDEXED)
    plain: dict[str, Found] = {}
    for number, (id, source) in enumerate(written):
        plain.pop(id, None)
        if source is None:
            table.delete(id)
        else:
            table.put(Found(id, 1, number, source))
            plain[id] = Found(id, 1, number, source)
    query = parse_query(body)
    wanted = matching_documents(query, list(plain.values()), TASKS, 0)
    assert matching_documents(query, table, TASKS, 0) == wanted
    assert len(table) == len(plain)


def test_a_term_on_an_index_looks_at_its_documents_only() -> None:
    table: DocumentTable[Found] = DocumentTable(INDEXED)
    for number in range(100):
        table.put(Found(f"t{number}", 1, number, {"detector_id": f"d{number % 10}", "is_latest": number < 50}))
    body = {"bool": {"filter": [{"term": {"is_latest": True}}, {"term": {"detector_id": "d3"}}]}}
    candidates = table.candidates(bind(parse_query(body), TASKS, 0))
    assert [one.id for one in candidates.read()] == [f"t{number}" for number in range(3, 100, 10)]
