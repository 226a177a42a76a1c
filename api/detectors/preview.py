"""Preview, and the run on a single period."""

from __future__ import annotations

from typing import Any

import msgspec

from api.detectors.catalog import Catalog
from api.detectors.checks import Checks
from api.detectors.previews import Previews
from api.detectors.routes import new_id
from api.http.errors import Text
from api.http.requests import Answer, Request, milliseconds
from api.kafka.readiness import Readiness
from api.security.access import Access
from schemas.detector import load_detector, shown_document, stored_document
from schemas.errors import Refused
from schemas.result import Result

_LEFT_OUT = ("id", "task_id", "execution_start_time", "execution_end_time", "model_id", "detector_id")


async def preview(
    request: Request, access: Access, catalog: Catalog, checks: Checks, previews: Previews, readiness: Readiness
) -> Answer:
    """``POST /detectors/{detectorID}/_preview`` and ``POST /detectors/_preview``."""
    body = request.json_object()
    start, end = request.read(_range)
    id = request.path_parameters.get("detectorID") or body.get("detector_id")
    if id is not None:
        stored = catalog.detectors.get(str(id))
        if stored is None:
            raise Refused(404, f"Can't find anomaly detector with id:{id}")
        access.allow(stored, request)
        access.allow_topics(stored.source["indices"], request)
        document = stored.definition
    elif body.get("detector") is not None:
        detector = checks.read(request, member="detector")
        access.allow_topics(detector.indices, request)
        document = stored_document(detector)
        document.pop("last_update_time", None)
        for feature in document["feature_attributes"]:
            # Assigned here, so that the results refer to the features in the answer.
            feature["feature_id"] = feature["feature_id"] or new_id()
    else:
        raise Text(400, "Must set detector id or detector")
    readiness.require_results()
    if not document["feature_attributes"]:
        raise Refused(400, "Can't preview detector without feature")
    found = await previews.run(document, start, end, request.user)
    return Answer(
        {
            "anomaly_result": [_shown(result, None if id is None else str(id)) for result in found.shown()],
            "anomaly_detector": shown_document(document),
        }
    )


async def run(request: Request, access: Access, catalog: Catalog, previews: Previews, readiness: Readiness) -> Answer:
    """``POST /detectors/{detectorID}/_run``: the result of one period.

    A temporary model is trained on the detector's history before the period and scores its last window. Nothing is
    kept, and the models of a running job are not used.
    """
    start, end = request.read(_range)
    stored = catalog.detectors.get(request.path_parameters["detectorID"])
    if stored is None:
        raise Refused(500, "config is not available.", "end_run_exception")
    access.allow(stored, request)
    readiness.require_results()
    detector = load_detector(stored.definition)
    access.allow_topics(detector.indices, request)
    if not detector.enabled_features:
        raise Refused(500, "Having trouble querying data because all of your features have been disabled.")
    interval = detector.window_interval_ms
    if detector.category_fields:
        return Answer(
            shown_run(None, 0, interval, "a detector with category fields has no single result: use _preview")
        )
    begin = start // interval * interval - detector.history * interval
    found = await previews.run(stored.definition, begin, end, request.user)
    count, last = found.last()
    if last is None or last.data_end_time <= start:
        return Answer(shown_run(None, count, interval, "No data in current detection window"))
    return Answer(shown_run(last, count, interval, None))


def shown_run(result: Result | None, updates: int, interval_ms: int, error: str | None) -> dict[str, Any]:
    """The answer of a single run; missing numbers are the string ``NaN``, as in OpenSearch.

    >>> shown = shown_run(None, 3, 60_000, "No data in current detection window")
    >>> shown["anomalyGrade"], shown["rcfTotalUpdates"], shown["detectorIntervalInMinutes"], shown["features"]
    ('NaN', 3, 1, [])
    """
    document = {} if result is None else msgspec.to_builtins(result)
    expected = document.get("expected_values")
    return {
        "anomalyGrade": document.get("anomaly_grade", "NaN"),
        "confidence": document.get("confidence", "NaN"),
        "anomalyScore": document.get("anomaly_score", "NaN"),
        "error": error,
        "features": document.get("feature_data", []),
        "rcfTotalUpdates": updates,
        "detectorIntervalInMinutes": interval_ms // 60_000,
        "relativeIndex": 0 if expected else None,
        "relevantAttribution": _numbers(document.get("relevant_attribution")),
        "pastValues": _numbers(document.get("past_values")),
        "expectedValuesList": expected and [_numbers(each["value_list"]) for each in expected],
        "likelihoodOfValues": expected and [each["likelihood"] for each in expected],
        "threshold": document.get("threshold", "NaN"),
        "task_id": None,
    }


def _numbers(shares: list[dict[str, Any]] | None) -> list[float] | None:
    return None if shares is None else [share["data"] for share in shares]


def _range(body: dict[str, Any]) -> tuple[int, int]:
    if body.get("period_start") is None or body.get("period_end") is None:
        raise Text(400, "Must set both period start and end date with epoch of milliseconds")
    start, end = milliseconds(body["period_start"]), milliseconds(body["period_end"])
    if start >= end:
        raise Text(400, "Period start date should be before end date")
    return start, end


def _shown(result: Result, detector_id: str | None) -> dict[str, Any]:
    shown = msgspec.to_builtins(result)
    for name in _LEFT_OUT:
        shown.pop(name, None)
    return {**shown, "detector_id": detector_id, "schema_version": 0}
