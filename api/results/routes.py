"""Results: search, top anomalies, delete by query."""

from __future__ import annotations

from typing import Any

from api.detectors.catalog import Catalog
from api.http.requests import Answer, Request
from api.http.search import read_search
from api.kafka.readiness import Readiness
from api.results.deletions import Deletions
from api.results.queries import Queries
from api.results.store import COLUMNS
from api.results.top_anomalies import read_bounds, read_request
from api.search.aggregations.slice import Allowed
from api.search.bind.mappings import RESULTS
from api.search.memory.table import Hit
from api.search.request import parse_search
from api.search.sql.search import Table, search_table
from api.search.sql.slice import Run
from api.search.sql.top import top_anomalies as find_top
from api.security.access import Access
from api.security.visibility import Visibility
from schemas.errors import Refused
from schemas.query import Query
from schemas.query.bind import bind
from schemas.query.errors import Limits
from schemas.query.pattern import compile_wildcard
from schemas.query.tree import Bool, Terms
from schemas.token import illegal_argument


async def search(
    request: Request, access: Access, catalog: Catalog, queries: Queries, limits: Limits, allowed: Allowed
) -> Answer:
    """``GET|POST /detectors/results/_search[/{resultIndex}]``.

    Results of a detector with a custom result index are found only in searches that name it.
    """
    asked = read_search(request, limits)
    only = request.flag("only_query_custom_result_index")
    pattern = request.path_parameters.get("resultIndex")
    custom, visibility = _custom(catalog), access.visibility(request)
    shows = visibility.shows
    named = {} if pattern is None else {id for id, name in custom.items() if _named(name, pattern) and shows(id)}
    if only and pattern is None:
        raise Refused(400, "No custom result index set.", "illegal_state_exception")
    if only and not named:
        raise illegal_argument("No custom result indices found")
    bounds: list[Query] = []
    excluded: list[Query] = []
    if only:
        bounds.append(Terms(field="detector_id", values=tuple(named)))
    elif hidden := tuple(custom.keys() - named):
        excluded.append(Terms(field="detector_id", values=hidden))
    bounds += _visible(visibility)
    bound = bind(Bool(filter=tuple(bounds), must_not=tuple(excluded)), RESULTS, request.now)
    default = request.index_names.results

    def index(hit: Hit) -> str:
        return custom.get(hit.source.get("detector_id", ""), default)

    def find(run: Run) -> dict[str, Any]:
        return search_table(asked, Table("results", COLUMNS, run), RESULTS, index, request.now, bound, allowed)

    return Answer(await queries.results(find))


async def top_anomalies(request: Request, access: Access, catalog: Catalog, queries: Queries) -> Answer:
    """``GET|POST /detectors/{detectorID}/results/_topAnomalies``."""
    id = request.path_parameters["detectorID"]
    historical = request.flag("historical")
    request.read(read_bounds)
    detector = access.detector(id, request)
    latest = catalog.historical_task(id)
    categories, latest_id = detector.source.get("category_field") or [], None if latest is None else latest.id
    asked = request.read(lambda body: read_request(body, id, categories, latest_id, historical=historical))
    query = Bool(filter=(asked.query(), *_visible(access.visibility(request))))
    condition = bind(query, RESULTS, request.now)

    def find(run: Run) -> list[dict[str, Any]]:
        table = Table("results", COLUMNS, run)
        return find_top(table, condition, asked.fields, by_occurrence=asked.by_count, size=asked.size)

    return Answer({"buckets": await queries.results(find)})


async def delete(
    request: Request,
    access: Access,
    catalog: Catalog,
    deletions: Deletions,
    readiness: Readiness,
    limits: Limits,
) -> Answer:
    """``DELETE /detectors/results``: from the stores of all API processes.

    The body is a search, of which only the query is used. Results in custom result indices are kept.
    """
    query = request.read_search(lambda source: parse_search(source, limits)).query
    if "query" not in request.search_source():
        raise Refused(400, "Validation Failed: 1: query is missing;", "action_request_validation_exception")
    custom = Terms(field="detector_id", values=tuple(_custom(catalog)))
    visible = tuple(_visible(access.visibility(request)))
    bounds = Bool(must=(query,), filter=visible, must_not=(custom,) if custom.values else ())
    bind(bounds, RESULTS, request.now)  # refuses an impossible query before it is written
    readiness.require_results()
    deleted = await deletions.submit(bounds, request.now, request.user)
    return Answer(
        {
            "took": 0,
            "timed_out": False,
            "total": deleted,
            "updated": 0,
            "created": 0,
            "deleted": deleted,
            "batches": 1 if deleted else 0,
            "version_conflicts": 0,
            "noops": 0,
            "retries": {"bulk": 0, "search": 0},
            "throttled_millis": 0,
            "requests_per_second": -1.0,
            "throttled_until_millis": 0,
            "failures": [],
        }
    )


def _custom(catalog: Catalog) -> dict[str, str]:
    """The custom result indices, by detector id."""
    return {each.id: each.source["result_index"] for each in catalog.detectors if each.source.get("result_index")}


def _named(name: str, pattern: str) -> bool:
    return any(compile_wildcard(part)(name) for part in pattern.split(","))


def _visible(visibility: Visibility) -> list[Query]:
    """Restricts a search to the detectors that the user sees; empty when the user sees all."""
    if visibility.everything:
        return []
    return [Terms(field="detector_id", values=tuple(each.id for each in visibility.detectors()))]
