"""The three searches: detectors, tasks and results (anchor section 1.7)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from api.detectors.catalog import Document
from api.http.errors import index_not_found
from api.http.requests import Answer, Request
from api.search.deadline import Deadline
from api.search.index import DocumentTable
from api.search.mappings import DETECTORS, TASKS, Types
from api.search.request import SearchRequest, parse_search
from api.search.search import looked_at, search_documents
from api.services import OPENSEARCH, Services, index_names

DASHBOARDS = "OpenSearch Dashboards"
"""Whoever's User-Agent names it gets ``ui_metadata``, which is left out otherwise."""

DIRECT = 128
"""A search that looks at no more documents is over before a thread would have begun; a thousand clauses take 50 ms."""


async def detectors(request: Request, services: Services) -> Answer:
    """``GET|POST /detectors/_search``."""
    search = read_search(request, services)
    services.require_detectors("index_or_alias")
    index = index_names(request).detectors
    return Answer(await _search(search, services.catalog.detectors, DETECTORS, index, request, services))


async def tasks(request: Request, services: Services) -> Answer:
    """``GET|POST /detectors/tasks/_search``."""
    search = read_search(request, services)
    if not services.ever_written("state"):
        raise index_not_found(OPENSEARCH.tasks)
    index = index_names(request).tasks
    return Answer(await _search(search, services.catalog.tasks, TASKS, index, request, services))


def read_search(request: Request, services: Services) -> SearchRequest:
    """The search that is asked for; the source is always shown, as the anchor does whatever ``_source`` says."""
    search = parse_search(request.search_source(), services.query_limits)
    source = search.source
    if not source.wanted:
        source = replace(source, wanted=True)
    if DASHBOARDS not in request.headers.get("user-agent", ""):
        source = replace(source, excludes=(*source.excludes, "ui_metadata"))
    return replace(search, source=source)


async def _search(
    search: SearchRequest,
    table: DocumentTable[Document],
    types: Types,
    index: str,
    request: Request,
    services: Services,
) -> dict[str, Any]:
    now, allowed = services.now(), services.allowed
    candidates, visibility = looked_at(search, table, types, now), services.visibility(request)

    def answer(deadline: Deadline) -> dict[str, Any]:
        seen = candidates.read()
        if not visibility.everything:
            seen = [each for each in deadline.over(seen) if visibility.shows_document(each)]
        return search_documents(search, seen, types, index, now, allowed, deadline)

    if len(candidates) <= DIRECT and _is_small(search):
        return answer(Deadline())
    return await services.ask_documents(answer)


def _is_small(search: SearchRequest) -> bool:
    """Whether the answer cannot have more buckets than documents, as that of a histogram's empty buckets can."""
    aggregations = search.aggregations.values()
    return len(aggregations) <= 1 and all(each.kind == "terms" and not each.children for each in aggregations)
