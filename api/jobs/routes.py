"""Start and stop of real-time detection and of historical analyses."""

from __future__ import annotations

from typing import Any

from api.detectors.catalog import Catalog
from api.http.requests import Answer, Request, milliseconds
from api.kafka.commands import Commands
from api.kafka.readiness import Readiness
from api.security.access import Access
from schemas.command import HistoryStart, HistoryStop, JobStart, JobStop, Reply
from schemas.token import illegal_argument


async def start(request: Request, access: Access, catalog: Catalog, commands: Commands, readiness: Readiness) -> Answer:
    """``POST /detectors/{detectorID}/_start``: real-time detection, or with a range in the body an analysis.

    ``from=earliest`` (an extension) starts real-time detection at the beginning of the topics.
    """
    id = request.path_parameters["detectorID"]
    bounds = request.read(_range) if request.body else None
    begin = request.parameters.get("from", "now")
    if begin not in ("now", "earliest"):
        raise illegal_argument(f"Failed to parse value [{begin}] as only [now] or [earliest] are allowed.")
    readiness.require_detectors()
    detector = catalog.detectors.get(id)
    access.allow(detector, request)
    if detector is not None:
        access.allow_topics(detector.source["indices"], request)
    if bounds is None:
        command: JobStart | HistoryStart = JobStart(
            detector_id=id, user=request.user, from_="earliest" if begin == "earliest" else "now"
        )
    else:
        command = HistoryStart(detector_id=id, user=request.user, start_time=bounds[0], end_time=bounds[1])
    return Answer(_started(await commands.submit(command)))


async def stop(request: Request, access: Access, catalog: Catalog, commands: Commands, readiness: Readiness) -> Answer:
    """``POST /detectors/{detectorID}/_stop``, the job, or with ``historical`` the analysis."""
    id = request.path_parameters["detectorID"]
    historical = request.flag("historical")
    readiness.require_detectors()
    access.allow(catalog.detectors.get(id), request)
    if historical:
        reply = await commands.submit(HistoryStop(detector_id=id, user=request.user))
    else:
        reply = await commands.submit(JobStop(detector_id=id, user=request.user))
    return Answer({"_id": reply.id or id, "_version": 0, "_seq_no": 0, "_primary_term": 0})


def _started(reply: Reply) -> dict[str, Any]:
    return {
        "_id": reply.id or reply.detector_id,
        "_version": reply.version,
        "_seq_no": reply.seq_no,
        "_primary_term": 1,
    }


def _range(body: dict[str, Any]) -> tuple[int, int]:
    """The bounds of a historical analysis, epoch ms. Raises ``Refused`` (400) in OpenSearch's order."""
    bounds = {}
    for name in ("start_time", "end_time"):
        value = body.get(name)
        bounds[name] = None if value is None else milliseconds(value)
    if bounds["start_time"] is None:
        raise illegal_argument("Detection data range's start time must not be null")
    if bounds["end_time"] is None:
        raise illegal_argument("Detection data range's end time must not be null")
    if bounds["start_time"] > bounds["end_time"]:
        raise illegal_argument("Detection data range's end time must be after start time")
    return bounds["start_time"], bounds["end_time"]
