"""The three searches: detectors, tasks and results (anchor section 1.7)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from api.errors import index_not_found
from api.request import Answer, Request
from api.search.index import DocumentTable
from api.search.mappings import DETECTORS, TASKS, Types
from api.search.request import SearchRequest, parse_search
from api.search.search import search_documents
from api.services import OPENSEARCH, Services, index_names
from api.views.catalog import Document

DASHBOARDS = "OpenSearch Dashboards"
"""Whoever's User-Agent names it gets ``ui_metadata``, which is left out otherwise."""


async def detectors(request: Request, services: Services) -> Answer:
    """``GET|POST /detectors/_search``."""
    search = read_search(request, services)
    services.require_detectors("index_or_alias")
    index = index_names(request).detectors
    return Answer(_search(search, services.catalog.detectors, DETECTORS, index, request, services))


async def tasks(request: Request, services: Services) -> Answer:
    """``GET|POST /detectors/tasks/_search``."""
    search = read_search(request, services)
    if not services.ever_written("state"):
        raise index_not_found(OPENSEARCH.tasks)
    index = index_names(request).tasks
    return Answer(_search(search, services.catalog.tasks, TASKS, index, request, services))


def read_search(request: Request, services: Services) -> SearchRequest:
    """The search that is asked for; the source is always shown, as the anchor does whatever ``_source`` says."""
    search = parse_search(request.search_source(), services.query_limits)
    source = search.source
    if not source.wanted:
        source = replace(source, wanted=True)
    if DASHBOARDS not in request.headers.get("user-agent", ""):
        source = replace(source, excludes=(*source.excludes, "ui_metadata"))
    return replace(search, source=source)


def _search(
    search: SearchRequest,
    table: DocumentTable[Document],
    types: Types,
    index: str,
    request: Request,
    services: Services,
) -> dict[str, Any]:
    documents: Iterable[Document] = table
    identity = request.identity
    if identity is not None and not identity.sees_all:
        documents = [each for each in table if identity.sees(each.source.get("user"))]
    return search_documents(search, documents, types, index, services.now(), services.settings.max_buckets)
