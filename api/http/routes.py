"""The one table of routes: methods, paths, parameters, bodies, permissions and who answers.

The router, docs/routes.md, the OpenAPI document and the permission check are derived from it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from api.detectors import insights, preview, validation
from api.detectors import routes as detectors
from api.documents import routes as documentation
from api.http.requests import Answer, Request
from api.jobs import routes as jobs
from api.nodes import health as root
from api.nodes import profile, stats
from api.results import routes as results
from api.services import Services
from api.tasks import search

Handler = Callable[[Request, Services], Awaitable[Answer]]
Body = Literal["none", "optional", "required", "search"]
"""``search``: a body or the ``source`` parameter. ``required`` and ``search`` are refused by the handler."""

PREFIXES = ("/_plugins/_anomaly_detection", "/_anomaly_detection/api")
TWIN_PREFIX = "/_opendistro/_anomaly_detection"
"""OpenSearch's old prefix: the original routes have a twin there, later ones have none."""

SEARCH_PARAMETERS = ("source", "source_content_type")


@dataclass(frozen=True)
class Route:
    """One route. ``tail`` follows a prefix, or is the whole path when ``prefixed`` is False.

    ``permission`` is the tail of the anchor's action name (section 1.20), "" for what everybody may ask.
    ``gated`` routes are answered with 503 while the views are not there. ``urgent`` ones have small answers that are at
    hand: they are given whatever else is under way.
    """

    methods: tuple[str, ...]
    tail: str
    handler: Handler
    summary: str
    permission: str
    parameters: tuple[str, ...] = ()
    body: Body = "none"
    original: bool = True
    prefixed: bool = True
    gated: bool = True
    urgent: bool = False

    def paths(self) -> Iterator[tuple[str, str]]:
        """The paths of the route, each with its prefix."""
        if not self.prefixed:
            yield "", self.tail
            return
        for prefix in (*PREFIXES, *((TWIN_PREFIX,) if self.original else ())):
            yield prefix, prefix + self.tail


_ID = "/detectors/{detectorID}"

_INSIGHTS: tuple[tuple[str, str, str, Body], ...] = (
    ("POST", "_start", "Start the insights job (switched off)", "optional"),
    ("GET", "_status", "The insights job (switched off)", "none"),
    ("POST", "_stop", "Stop the insights job (switched off)", "optional"),
)

ROUTES: tuple[Route, ...] = (
    Route(("POST",), "/detectors", detectors.create, "Create a detector", "detector/write", ("refresh",), "required"),
    Route(
        ("PUT",),
        _ID,
        detectors.update,
        "Replace a detector",
        "detector/write",
        ("if_seq_no", "if_primary_term", "refresh"),
        "required",
    ),
    Route(
        ("GET", "HEAD"),
        _ID,
        detectors.get,
        "Get a detector, with its job and its latest tasks",
        "detectors/get",
        ("job", "task", "version"),
    ),
    Route(("DELETE",), _ID, detectors.delete, "Delete a detector", "detector/delete"),
    Route(
        ("GET", "POST"), "/detectors/_search", search.detectors, "Search the detectors", "detector/search", (), "search"
    ),
    Route(("GET", "POST"), "/detectors/tasks/_search", search.tasks, "Search the tasks", "tasks/search", (), "search"),
    Route(
        ("POST",),
        _ID + "/_preview",
        preview.preview,
        "Run a detector without keeping anything",
        "detector/preview",
        (),
        "required",
    ),
    Route(
        ("POST",),
        "/detectors/_preview",
        preview.preview,
        "Run a detector that is in the body",
        "detector/preview",
        (),
        "required",
        original=False,
    ),
    Route(("POST",), _ID + "/_run", preview.run, "The verdict on one period", "detector/run", (), "required"),
    Route(
        ("GET", "POST"),
        "/detectors/results/_search",
        results.search,
        "Search the results",
        "result/search",
        ("only_query_custom_result_index",),
        "search",
    ),
    Route(
        ("GET", "POST"),
        "/detectors/results/_search/{resultIndex}",
        results.search,
        "Search the results, those of a result index among them",
        "result/search",
        ("only_query_custom_result_index",),
        "search",
        original=False,
    ),
    Route(
        ("GET", "POST"),
        _ID + "/results/_topAnomalies",
        results.top_anomalies,
        "The entities with the worst or the most anomalies",
        "result/topAnomalies",
        ("historical",),
        "required",
        original=False,
    ),
    Route(
        ("DELETE",),
        "/detectors/results",
        results.delete,
        "Delete results by a query",
        "results/delete",
        (),
        "search",
        original=False,
    ),
    Route(("GET",), "/detectors/count", detectors.count, "Count the detectors", "detector/info"),
    Route(("GET",), "/detectors/match", detectors.match, "Whether a name is taken", "detector/info", ("name",)),
    Route(
        ("POST",),
        _ID + "/_start",
        jobs.start,
        "Start real-time detection or a historical analysis",
        "detector/jobmanagement",
        ("from",),
        "optional",
    ),
    Route(
        ("POST",),
        _ID + "/_stop",
        jobs.stop,
        "Stop real-time detection or a historical analysis",
        "detector/jobmanagement",
        ("historical",),
    ),
    Route(
        ("GET", "POST"),
        _ID + "/_profile",
        profile.profile,
        "What a detector is doing",
        "detectors/get",
        ("_all", "category_field", "entity"),
        "optional",
    ),
    Route(
        ("GET", "POST"),
        _ID + "/_profile/{type}",
        profile.profile,
        "Named parts of a detector's profile",
        "detectors/get",
        ("_all", "category_field", "entity"),
        "optional",
    ),
    Route(
        ("POST",),
        "/detectors/_validate",
        validation.validate,
        "Check a detector without creating it",
        "detector/validate",
        (),
        "required",
        original=False,
    ),
    Route(
        ("POST",),
        "/detectors/_validate/{type}",
        validation.validate,
        "Check a detector, or its data",
        "detector/validate",
        (),
        "required",
        original=False,
    ),
    Route(
        ("POST",),
        "/detectors/_suggest/{types}",
        validation.suggest,
        "Suggest interval, history and window delay",
        "detector/suggest",
        (),
        "required",
        original=False,
    ),
    *(
        Route((method,), f"/insights/{tail}", insights.insights, summary, "insights/job", (), body, original=False)
        for method, tail, summary, body in _INSIGHTS
    ),
    Route(("GET",), "/stats", stats.stats, "All statistics", "detector/stats", ("timeout",)),
    Route(("GET",), "/stats/{stat}", stats.stats, "Named statistics", "detector/stats", ("timeout",)),
    Route(("GET",), "/{nodeId}/stats", stats.stats, "A worker's statistics", "detector/stats", ("timeout",)),
    Route(
        ("GET",),
        "/{nodeId}/stats/{stat}",
        stats.stats,
        "Named statistics of a worker",
        "detector/stats",
        ("timeout",),
    ),
    Route(("GET", "HEAD"), "/", root.root, "Name and version", "", prefixed=False, gated=False, urgent=True),
    Route(
        ("GET",),
        "/_health",
        root.health,
        "Whether requests can be answered",
        "",
        prefixed=False,
        gated=False,
        urgent=True,
    ),
    Route(
        ("GET",),
        "/_cluster/health",
        root.health,
        "The same, where OpenSearch clients ask",
        "",
        ("timeout", "wait_for_status"),
        prefixed=False,
        gated=False,
        urgent=True,
    ),
    Route(
        ("GET",),
        "/_openapi.json",
        documentation.openapi,
        "This API as an OpenAPI document",
        "",
        prefixed=False,
        gated=False,
    ),
    Route(
        ("GET",),
        "/_asyncapi.json",
        documentation.asyncapi,
        "The topics as an AsyncAPI document",
        "",
        prefixed=False,
        gated=False,
    ),
    Route(("GET",), "/_docs", documentation.page, "A page to try the API", "", prefixed=False, gated=False),
)
