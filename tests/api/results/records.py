"""Results to store, as small as they can be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from api.results.store import COLUMNS, ResultsStore
from api.search import RESULTS, parse_search
from api.search.sql.search import Table, search_table

T = TypeVar("T")
NOW = 1_795_493_335_499


@dataclass(frozen=True)
class Stored:
    """A record of the results topic."""

    offset: int
    value: bytes | None
    partition: int = 0
    time: int = NOW


def result(id: str, **members: Any) -> dict[str, Any]:
    """A result document with its id."""
    return {"id": id, "detector_id": "d1", "data_start_time": 0, "data_end_time": 60_000, **members}


def records(results: Sequence[dict[str, Any]], start: int = 0, **settings: int) -> list[Stored]:
    """The records of these results, one offset after the other."""
    return [Stored(start + at, msgspec.json.encode(one), **settings) for at, one in enumerate(results)]


def filled(folder: Path, results: Sequence[dict[str, Any]]) -> ResultsStore:
    """A new store with these results."""
    store = ResultsStore(folder)
    store.upsert(records(results))
    return store


def ask(store: ResultsStore, body: Any, now: int = NOW) -> dict[str, Any]:
    """The answer of a search in the store."""
    return with_table(store, lambda table: search_table(parse_search(body), table, RESULTS, lambda hit: "index", now))


def with_table(store: ResultsStore, question: Callable[[Table], T]) -> T:
    """The answer of a question to the store's table."""
    with store.reading() as cursor:
        return question(Table("results", COLUMNS, lambda sql, values: cursor.execute(sql, values).fetchall()))


def ids(answer: dict[str, Any]) -> list[str]:
    """The ids of the hits, in their order."""
    return [hit["_id"] for hit in answer["hits"]["hits"]]
