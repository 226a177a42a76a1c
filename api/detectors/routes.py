"""Detectors: create, get, update, delete, count, match."""

from __future__ import annotations

import secrets
from typing import Any

from api.detectors.catalog import Catalog, StoredDocument, task_document
from api.detectors.checks import Checks, Told
from api.http.errors import unknown_detector
from api.http.requests import Answer, Request
from api.kafka.commands import Commands
from api.kafka.readiness import Readiness
from api.nodes.view import Nodes
from api.security.access import Access
from schemas.command import DetectorDelete, DetectorPut, Reply
from schemas.document_id import ID_BYTES, document_id
from schemas.errors import Refused
from schemas.task import LIVE_STATES

TWIN = "/_opendistro/_anomaly_detection"

ANY_VERSION, NO_SEQ_NO = -3, -2
"""Values that OpenSearch treats as absent."""


def new_id() -> str:
    """A random document id."""
    return document_id(secrets.token_bytes(ID_BYTES))


async def create(request: Request, access: Access, checks: Checks, commands: Commands) -> Answer:
    """``POST /detectors``."""
    document = request.json_object()
    request.refresh()
    access.allow_owning(request)
    detector = checks.read(request)
    access.allow_topics(detector.indices, request)
    told = await checks.check(detector, request.now)
    id = new_id()
    document = {**document, **told.members}
    await commands.submit(DetectorPut(detector_id=id, detector=document, mode="create", user=request.user))
    return Answer(_written(access.detector(id, request)), 201, {"Location": f"{TWIN}/{id}", **_warning(told)})


async def update(request: Request, access: Access, checks: Checks, commands: Commands, readiness: Readiness) -> Answer:
    """``PUT /detectors/{detectorID}``: the whole document is replaced."""
    id = request.path_parameters["detectorID"]
    document = request.json_object()
    request.refresh()
    seq_no, primary_term = _concurrency(request)
    readiness.require_detectors(resource=None)
    before = access.detector(id, request)
    detector = checks.read(request)
    access.allow_topics(detector.indices, request)
    told = await checks.check(detector, request.now, before)
    await commands.submit(
        DetectorPut(
            detector_id=id,
            detector={**document, **told.members},
            mode="update",
            user=request.user,
            if_seq_no=seq_no,
            if_primary_term=primary_term,
        )
    )
    return Answer(_written(access.detector(id, request)), headers=_warning(told))


async def get(request: Request, access: Access, catalog: Catalog, nodes: Nodes) -> Answer:
    """``GET /detectors/{detectorID}``, with its job and tasks on request."""
    id = request.path_parameters["detectorID"]
    job, task = request.flag("job"), request.flag("task")
    version = request.whole_number("version")
    detector = access.detector(id, request)
    if version not in (None, ANY_VERSION, detector.version):
        raise unknown_detector(id)
    shown: dict[str, Any] = {
        "_id": id,
        "_version": detector.version,
        "_primary_term": 1,
        "_seq_no": detector.seq_no,
        "anomaly_detector": detector.source,
    }
    if job:
        stored = catalog.jobs.get(id)
        shown["anomaly_detector_job"] = None if stored is None else stored.source
    if task:
        realtime = _shown_task(catalog.realtime_task(id), nodes, request.now)
        shown["realtime_task"] = realtime
        if request.search_guard:
            shown["realtime_detection_task"] = realtime
        shown["historical_analysis_task"] = _shown_task(catalog.historical_task(id), nodes, request.now)
    return Answer(shown)


async def delete(
    request: Request, access: Access, catalog: Catalog, commands: Commands, readiness: Readiness
) -> Answer:
    """``DELETE /detectors/{detectorID}``; an unknown id is answered with ``not_found`` and 200, as in OpenSearch."""
    id = request.path_parameters["detectorID"]
    readiness.require_detectors()
    before = catalog.detectors.get(id)
    access.allow(before, request)
    try:
        reply = await commands.submit(DetectorDelete(detector_id=id, user=request.user))
    except Refused as refused:
        if refused.status != 404:
            raise
        return Answer(_deleted(request, id, "not_found", 1, 0))
    version = reply.version or (before.version + 1 if before is not None else 1)
    return Answer(_deleted(request, id, "deleted", version, _offset(reply)))


async def count(request: Request, access: Access, catalog: Catalog) -> Answer:
    """``GET /detectors/count``: of those that the user sees."""
    visibility = access.visibility(request)
    shown = catalog.detectors if visibility.everything else visibility.detectors()
    return Answer({"count": len(shown), "match": False})


async def match(request: Request, catalog: Catalog, readiness: Readiness) -> Answer:
    """``GET /detectors/match``: whether a detector has exactly this name."""
    name = request.parameters.get("name")
    if name is None:
        if not readiness.ever_written("detectors"):
            return Answer({"count": 0, "match": False})
        raise Refused(400, "request parameter [name] is required", "illegal_argument_exception")
    return Answer({"count": 0, "match": catalog.id_of_name(name) is not None})


def _warning(told: Told) -> dict[str, str]:
    """The header with what people should know, as OpenSearch warns: it holds ASCII only, and no quotes."""
    if not told.warnings:
        return {}
    text = "; ".join(told.warnings).replace('"', "'").replace("\\", "/")
    return {"Warning": f'299 Riverwatch "{text.encode("ascii", "replace").decode()[:2_000]}"'}


def _written(detector: StoredDocument) -> dict[str, Any]:
    return {
        "_id": detector.id,
        "_version": detector.version,
        "_seq_no": detector.seq_no,
        "anomaly_detector": detector.source,
        "_primary_term": 1,
    }


def _shown_task(task: StoredDocument | None, nodes: Nodes, now: int) -> dict[str, Any] | None:
    if task is None:
        return None
    shown = task_document(task)
    error = nodes.error(shown.get("error"), now)
    return {**shown, "error": error} if error and shown["state"] in LIVE_STATES else shown


def _deleted(request: Request, id: str, result: str, version: int, seq_no: int) -> dict[str, Any]:
    return {
        "_index": request.index_names.detectors,
        "_id": id,
        "_version": version,
        "result": result,
        "forced_refresh": True,
        "_shards": {"total": 1, "successful": 1, "failed": 0},
        "_seq_no": seq_no,
        "_primary_term": 1,
    }


def _offset(reply: Reply) -> int:
    return reply.seq_no or reply.offsets.get("detectors", 0)


def _concurrency(request: Request) -> tuple[int | None, int | None]:
    """``if_seq_no`` and ``if_primary_term``: both or none, checked as OpenSearch does."""
    seq_no, primary_term = request.whole_number("if_seq_no"), request.whole_number("if_primary_term")
    seq_no, primary_term = None if seq_no == NO_SEQ_NO else seq_no, primary_term or None
    if seq_no is not None and seq_no < 0:
        raise Refused(400, f"sequence numbers must be non negative. got [{seq_no}].")
    if primary_term is not None and primary_term < 0:
        raise Refused(400, f"primary term must be non negative. got [{primary_term}]")
    if seq_no is not None and primary_term is None:
        raise Refused(400, "Validation Failed: 1: ifSeqNo is set, but primary term is [0];")
    if seq_no is None and primary_term is not None:
        raise Refused(400, f"Validation Failed: 1: ifSeqNo is unassigned, but primary term is [{primary_term}];")
    return seq_no, primary_term
