"""Preview, and the single run (anchor sections 1.11 and 1.12)."""

from __future__ import annotations

from typing import Any

import msgspec

from api.errors import Text
from api.request import Answer, Request
from api.services import Services
from schemas.detector import DEFAULT_INTERVAL, render_detector
from schemas.errors import Refused
from schemas.result import Result
from schemas.token import as_object

_LEFT_OUT = ("id", "task_id", "execution_start_time", "execution_end_time", "model_id", "detector_id")


async def preview(request: Request, services: Services) -> Answer:
    """``POST /detectors/{detectorID}/_preview`` and ``POST /detectors/_preview``."""
    body = request.json_object()
    start, end = _range(body)
    id = request.path_parameters.get("detectorID") or body.get("detector_id")
    if id is not None:
        stored = services.catalog.detectors.get(str(id))
        if stored is None:
            raise Refused(404, f"Can't find anomaly detector with id:{id}")
        services.allow(stored, request)
        document = stored.source
    elif body.get("detector") is not None:
        given = as_object(body["detector"])
        detector = services.checks.read(given, body=request.body, user=request.user, default_interval=DEFAULT_INTERVAL)
        document = render_detector(detector)
        document.pop("last_update_time", None)
    else:
        raise Text(400, "Must set detector id or detector")
    if not document["feature_attributes"]:
        raise Refused(400, "Can't preview detector without feature")
    results = await services.previews.run(document, start, end)
    return Answer(
        {
            "anomaly_result": [_shown(result, None if id is None else str(id)) for result in results],
            "anomaly_detector": document,
        }
    )


async def run(request: Request, services: Services) -> Answer:
    """``POST /detectors/{detectorID}/_run``: refused, since here data close windows, not requests."""
    _range(request.json_object())
    if services.catalog.detectors.get(request.path_parameters["detectorID"]) is None:
        raise Refused(500, "config is not available.", "end_run_exception")
    raise Refused(
        501,
        "_run is not supported: windows are scored when their records have come; use _start or _preview",
        "unsupported_operation_exception",
    )


def _range(body: dict[str, Any]) -> tuple[int, int]:
    start, end = _time(body.get("period_start")), _time(body.get("period_end"))
    if start is None or end is None:
        raise Text(400, "Must set both period start and end date with epoch of milliseconds")
    if start >= end:
        raise Text(400, "Period start date should be before end date")
    return start, end


def _time(value: Any) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int) or not -(2**63) <= value < 2**63:
        return None
    return value


def _shown(result: Result, detector_id: str | None) -> dict[str, Any]:
    shown = msgspec.to_builtins(result)
    for name in _LEFT_OUT:
        shown.pop(name, None)
    return {"detector_id": detector_id, **shown}
