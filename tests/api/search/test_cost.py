"""A search that would take too long is refused before it begins, by what it asks and how many documents it looks at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from api.detectors.catalog import StoredDocument
from api.results.store import ResultsStore
from api.search import RESULTS, TASKS, DocumentTable, parse_search, search_documents
from api.search.aggregations.slice import Allowed
from api.search.cost import STORE
from api.search.deadline import Deadline
from api.search.sql.search import Table, search_table
from schemas.errors import Refused
from tests.api.results.records import filled, result, with_table

PATTERNS = {"bool": {"should": [{"wildcard": {"model_id": f"*a*{n}*"}} for n in range(900)]}}
RESULTS_THERE = 1000


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ResultsStore]:
    """Results of fifty detectors."""
    made = [result(f"r{n}", detector_id=f"d{n % 50}", task_id=f"m{n % 40}") for n in range(RESULTS_THERE)]
    store = filled(tmp_path, made)
    yield store
    store.close()


def search(store: ResultsStore, body: Mapping[str, Any], allowed: Allowed, ran: list[str]) -> dict[str, Any]:
    """What a search finds; the statements that are run for it are added to ``ran``."""

    def ask(table: Table) -> dict[str, Any]:
        def run(sql: str, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
            ran.append(sql)
            return table.run(sql, values)

        return search_table(
            parse_search(body), replace(table, run=run), RESULTS, lambda hit: "index", 0, allowed=allowed
        )

    return with_table(store, ask)


FEW = Allowed(seconds=900 * 3 * STORE.pattern * 50 / 1e6)
"""Enough for the patterns on 50 results, not on a thousand."""


def test_patterns_on_all_results_are_refused_before_one_is_tried(store: ResultsStore) -> None:
    ran: list[str] = []
    with pytest.raises(Refused, match=r"on \[1000\] documents.*RIVERWATCH_MAX_SEARCH_SECONDS") as refused:
        search(store, {"query": PATTERNS}, FEW, ran)
    assert (refused.value.status, refused.value.kind) == (400, "illegal_argument_exception")
    assert all(sql.startswith("SELECT count(*)") and "regexp" not in sql for sql in ran)


def test_the_same_patterns_on_few_results_are_tried(store: ResultsStore) -> None:
    query = {"bool": {"filter": [{"term": {"detector_id": "d1"}}], "must": [PATTERNS]}}
    ran: list[str] = []
    found = search(store, {"query": query, "track_total_hits": True}, FEW, ran)
    assert found["hits"]["total"]["value"] == 0
    assert any("regexp" in sql for sql in ran)


FILTERS = {"filters": {"filters": [{"wildcard": {"model_id": f"*a*{n}*"}} for n in range(900)]}}


def test_patterns_in_aggregations_count(store: ResultsStore) -> None:
    with pytest.raises(Refused, match="RIVERWATCH_MAX_SEARCH_SECONDS"):
        search(store, {"size": 0, "aggs": {"all": {"filter": {"match_all": {}}, "aggs": {"by": FILTERS}}}}, FEW, [])


@pytest.mark.parametrize(
    "body",
    [
        {"query": {"bool": {"should": [{"wildcard": {"state": f"*a*{n}*"}} for n in range(900)]}}},
        {"post_filter": {"bool": {"should": [{"match": {"error": f"w{n}"}} for n in range(900)]}}},
        {"aggs": {"by": {"filters": {"filters": [{"wildcard": {"state": f"a{n}*"}} for n in range(900)]}}}},
    ],
)
def test_what_is_asked_of_many_documents_is_refused_before_one_is_looked_at(body: dict[str, Any]) -> None:
    table: DocumentTable[StoredDocument] = DocumentTable(("detector_id",))
    for number in range(3000):
        table.put(StoredDocument(f"t{number}", 1, number, {"detector_id": f"d{number % 1000}", "state": "INIT"}))
    gone, allowed = Deadline(), Allowed(seconds=5.0)
    gone.give_up()
    for documents in (table, list(table)):
        with pytest.raises(Refused, match=r"on \[3000\] documents") as refused:
            search_documents(parse_search(body), documents, TASKS, "tasks", 0, allowed, gone)
        assert refused.value.status == 400
    of_one = {"bool": {"filter": [{"term": {"detector_id": "d1"}}, *([body["query"]] if "query" in body else [])]}}
    assert search_documents(parse_search({**body, "query": of_one}), table, TASKS, "tasks", 0, allowed)["hits"]


BEST = {"best": {"top_hits": {"size": 100}}}


@pytest.mark.parametrize(
    "aggregation",
    [
        {"terms": {"field": "task_id", "size": 1000}, "aggs": BEST},
        {"composite": {"size": 1000, "sources": [{"t": {"terms": {"field": "task_id"}}}]}, "aggs": BEST},
        {"filters": {"filters": [{"match_all": {}}] * 10}, "aggs": BEST},
        {"filter": {"match_all": {}}, "aggs": {"t": {"terms": {"field": "task_id", "size": 1000}, "aggs": BEST}}},
    ],
    ids=["terms", "composite", "filters", "inside"],
)
def test_top_hits_are_counted_before_they_are_looked_for(store: ResultsStore, aggregation: dict[str, Any]) -> None:
    """40 buckets of 25 results each: at most as many hits as a bucket has are counted."""
    many, ran = RESULTS_THERE, list[str]()
    said = rf"equal to: \[{many - 1}\] .*was \[{many}\]: .*RIVERWATCH_MAX_TOP_HITS"
    with pytest.raises(Refused, match=said) as refused:
        search(store, {"size": 0, "aggs": {"a": aggregation}}, Allowed(top_hits=many - 1), ran)
    assert (refused.value.status, refused.value.kind) == (400, "illegal_argument_exception")
    assert not any("row_number" in sql for sql in ran)


def test_as_many_top_hits_as_allowed_are_shown(store: ResultsStore) -> None:
    body = {"size": 0, "aggs": {"a": {"terms": {"field": "task_id", "size": 1000}, "aggs": BEST}}}
    found = search(store, body, Allowed(top_hits=RESULTS_THERE), [])
    assert sum(len(bucket["best"]["hits"]["hits"]) for bucket in found["aggregations"]["a"]["buckets"]) == RESULTS_THERE
