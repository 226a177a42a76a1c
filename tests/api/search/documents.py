"""Documents to search in, as small as they can be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from api.search import TASKS, parse_search, search_documents
from api.search.mappings import Types
from tests.schemas.query.clauses import DOCUMENTS, NOW


@dataclass(frozen=True)
class Found:
    """A document with what a hit shows of it."""

    id: str
    version: int
    seq_no: int
    source: Mapping[str, Any]


def numbered(documents: Mapping[str, Mapping[str, Any]]) -> list[Found]:
    """Documents in the order in which they are given."""
    return [Found(id, 1, number, source) for number, (id, source) in enumerate(documents.items())]


TASK_DOCUMENTS = numbered(DOCUMENTS)


def search(body: Any, documents: Iterable[Found] = TASK_DOCUMENTS, types: Types = TASKS) -> dict[str, Any]:
    """The answer of a search."""
    return search_documents(parse_search(body), documents, types, "index", NOW)


def ids(answer: Mapping[str, Any]) -> str:
    """The ids of the hits, in their order."""
    return "".join(hit["_id"] for hit in answer["hits"]["hits"])
