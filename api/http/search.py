"""What the searches have in common: how the body is read, and where documents are searched."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from api.detectors.catalog import StoredDocument
from api.http.requests import Request
from api.results.queries import Queries
from api.search.aggregations.slice import Allowed
from api.search.deadline import Deadline
from api.search.memory.search import looked_at, search_documents
from api.search.memory.table import DocumentTable
from api.search.request import SearchRequest, parse_search
from api.security.visibility import Visibility
from schemas.query.errors import Limits
from schemas.query.fields import Types

DASHBOARDS = "OpenSearch Dashboards"
"""A client whose User-Agent contains this gets ``ui_metadata``, which is left out otherwise."""

DIRECT = 128
"""A search that looks at no more documents is over before a thread would have begun; a thousand clauses take 50 ms."""


def read_search(request: Request, limits: Limits) -> SearchRequest:
    """The search in a request; the source is always shown, as OpenSearch does whatever ``_source`` says."""
    search = request.read_search(lambda source: parse_search(source, limits))
    source = search.source
    if not source.wanted:
        source = replace(source, wanted=True)
    if DASHBOARDS not in request.headers.get("user-agent", ""):
        source = replace(source, excludes=(*source.excludes, "ui_metadata"))
    return replace(search, source=source)


async def search_table(
    search: SearchRequest,
    table: DocumentTable[StoredDocument],
    types: Types,
    index: str,
    now: int,
    visibility: Visibility,
    queries: Queries,
    allowed: Allowed,
) -> dict[str, Any]:
    """The answer to a search of documents in memory, as far as the user sees them; a long one runs in a thread."""
    candidates = looked_at(search, table, types, now)

    def answer(deadline: Deadline) -> dict[str, Any]:
        seen = candidates.read()
        if not visibility.everything:
            seen = [each for each in deadline.over(seen) if visibility.shows_document(each)]
        return search_documents(search, seen, types, index, now, allowed, deadline)

    if len(candidates) <= DIRECT and _is_small(search):
        return answer(Deadline())
    return await queries.documents(answer)


def _is_small(search: SearchRequest) -> bool:
    """Whether the answer cannot have more buckets than documents, as that of a histogram's empty buckets can."""
    aggregations = search.aggregations.values()
    return len(aggregations) <= 1 and all(each.kind == "terms" and not each.children for each in aggregations)
