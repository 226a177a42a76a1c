"""The table of routes: methods, paths, parameters, bodies, permissions and handlers.

Routing, permission checks and the OpenAPI document are derived from it; docs/routes.md is compared with it.
"""

from __future__ import annotations

from api.detectors import insights, preview, validation
from api.detectors import routes as detectors
from api.detectors import search as detector_search
from api.documents import routes as documentation
from api.http.route import Body, Route
from api.jobs import routes as jobs
from api.nodes import health, profile, stats
from api.results import routes as results
from api.tasks import search as task_search

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
        ("GET", "POST"),
        "/detectors/_search",
        detector_search.search,
        "Search the detectors",
        "detector/search",
        (),
        "search",
    ),
    Route(
        ("GET", "POST"),
        "/detectors/tasks/_search",
        task_search.search,
        "Search the tasks",
        "tasks/search",
        (),
        "search",
    ),
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
    Route(("POST",), _ID + "/_run", preview.run, "The result of one period", "detector/run", (), "required"),
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
    Route(("GET", "HEAD"), "/", health.root, "Name and version", "", prefixed=False, gated=False, urgent=True),
    Route(
        ("GET",),
        "/_health",
        health.health,
        "Whether requests can be answered",
        "",
        prefixed=False,
        gated=False,
        urgent=True,
    ),
    Route(
        ("GET",),
        "/_cluster/health",
        health.health,
        "The same, where OpenSearch clients look for it",
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
