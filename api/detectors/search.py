"""The search of detectors."""

from __future__ import annotations

from api.detectors.catalog import Catalog
from api.http.requests import Answer, Request
from api.http.search import read_search, search_table
from api.kafka.readiness import Readiness
from api.results.queries import Queries
from api.search.aggregations.slice import Allowed
from api.search.bind.mappings import DETECTORS
from api.security.access import Access
from schemas.query.errors import Limits


async def search(
    request: Request,
    access: Access,
    catalog: Catalog,
    queries: Queries,
    readiness: Readiness,
    limits: Limits,
    allowed: Allowed,
) -> Answer:
    """``GET|POST /detectors/_search``."""
    asked, visibility = read_search(request, limits), access.visibility(request)
    readiness.require_detectors("index_or_alias")
    index = request.index_names.detectors
    return Answer(
        await search_table(asked, catalog.detectors, DETECTORS, index, request.now, visibility, queries, allowed)
    )
