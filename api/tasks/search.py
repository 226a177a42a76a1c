"""The search of tasks."""

from __future__ import annotations

from api.detectors.catalog import Catalog
from api.http.errors import index_not_found
from api.http.index_names import OPENSEARCH
from api.http.requests import Answer, Request
from api.http.search import read_search, search_table
from api.kafka.readiness import Readiness
from api.results.queries import Queries
from api.search.aggregations.slice import Allowed
from api.search.bind.mappings import TASKS
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
    """``GET|POST /detectors/tasks/_search``."""
    asked, visibility = read_search(request, limits), access.visibility(request)
    if not readiness.ever_written("state"):
        raise index_not_found(OPENSEARCH.tasks)
    index = request.index_names.tasks
    return Answer(await search_table(asked, catalog.tasks, TASKS, index, request.now, visibility, queries, allowed))
