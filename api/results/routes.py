"""Results: search, top anomalies, delete by query (anchor sections 1.7, 1.16 and 1.17)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from api.http.requests import Answer, Request
from api.results.store import COLUMNS
from api.results.top_anomalies import read_bounds, read_request
from api.search.binding import bind
from api.search.index import Hit
from api.search.mappings import RESULTS
from api.search.request import SearchRequest, parse_search
from api.search.sql_search import Table, search_table
from api.search.sql_slice import Run
from api.search.sql_top import top_anomalies as find_top
from api.services import Services, index_names
from api.tasks.search import read_search
from schemas.errors import Refused
from schemas.query import Query
from schemas.query.pattern import compile_wildcard
from schemas.query.tree import Bool, Terms
from schemas.token import illegal_argument


async def search(request: Request, services: Services) -> Answer:
    """``GET|POST /detectors/results/_search[/{resultIndex}]``.

    The results of detectors with a result index of their own are found only where it is named.
    """
    asked = read_search(request, services)
    only = request.flag("only_query_custom_result_index")
    pattern = request.path_parameters.get("resultIndex")
    custom = _custom(services)
    shows = services.visibility(request).shows
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
    bounds += _visible(request, services)
    answer = await _run(asked, Bool(filter=tuple(bounds), must_not=tuple(excluded)), custom, request, services)
    return Answer(answer)


async def top_anomalies(request: Request, services: Services) -> Answer:
    """``GET|POST /detectors/{detectorID}/results/_topAnomalies``."""
    id = request.path_parameters["detectorID"]
    body, historical = request.json_object(), request.flag("historical")
    read_bounds(body)
    detector = services.detector(id, request)
    latest = services.catalog.historical_task(id)
    asked = read_request(
        body,
        id,
        detector.source.get("category_field") or [],
        None if latest is None else latest.id,
        historical=historical,
    )
    query = Bool(filter=(asked.query(), *_visible(request, services)))
    condition = bind(query, RESULTS, services.now())

    def ask(run: Run) -> list[dict[str, Any]]:
        table = Table("results", COLUMNS, run)
        return find_top(table, condition, asked.fields, by_occurrence=asked.by_count, size=asked.size)

    return Answer({"buckets": await services.ask_results(ask)})


async def delete(request: Request, services: Services) -> Answer:
    """``DELETE /detectors/results``: from the stores of all API processes.

    The body is a search of which the query alone counts. Results with a result index of their own are left alone.
    """
    body = request.search_source()
    query = parse_search(body, services.query_limits).query
    if "query" not in body:
        raise Refused(400, "Validation Failed: 1: query is missing;", "action_request_validation_exception")
    custom = Terms(field="detector_id", values=tuple(_custom(services)))
    bounds = Bool(must=(query,), filter=tuple(_visible(request, services)), must_not=(custom,) if custom.values else ())
    bind(bounds, RESULTS, services.now())  # what cannot be asked is refused before it is written
    deleted = await services.delete_results(bounds, request)
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


def _custom(services: Services) -> dict[str, str]:
    """The result index of each detector that has one of its own."""
    return {
        each.id: each.source["result_index"] for each in services.catalog.detectors if each.source.get("result_index")
    }


def _named(name: str, pattern: str) -> bool:
    return any(compile_wildcard(part)(name) for part in pattern.split(","))


def _visible(request: Request, services: Services) -> list[Query]:
    """What bounds a search to the detectors that are shown to who asks; nothing when all are."""
    visibility = services.visibility(request)
    if visibility.everything:
        return []
    return [Terms(field="detector_id", values=tuple(each.id for each in visibility.detectors()))]


async def _run(
    asked: SearchRequest, visible: Query, custom: Mapping[str, str], request: Request, services: Services
) -> dict[str, Any]:
    """Search the store in a thread of its own: DuckDB computes without holding up other requests."""
    default, now = index_names(request).results, services.now()
    allowed = services.allowed

    def index(hit: Hit) -> str:
        return custom.get(hit.source.get("detector_id", ""), default)

    def search(run: Run) -> dict[str, Any]:
        table = Table("results", COLUMNS, run)
        return search_table(asked, table, RESULTS, index, now, bind(visible, RESULTS, now), allowed)

    return await services.ask_results(search)
