"""Creating, changing and deleting detectors."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from schemas.command import DetectorDelete, DetectorPut
from schemas.detector import SHOWN_DELAY, Detector, check_name, read_detector, stored_document
from schemas.errors import Refused
from schemas.feature import check_features
from schemas.state import HIDDEN, StoredDetector
from schemas.task import HISTORICAL_TYPES, LIVE_STATES, REALTIME_TYPES
from streams.coordinate.step import Answer, Step
from streams.forest.spec import ForestSpec

_ID = re.compile(r"(?!-)[A-Za-z0-9_-]{1,128}")


def find(step: Step, detector_id: str) -> StoredDetector:
    """The detector. Raises ``Refused`` (404) when there is none."""
    detector = step.state.detectors.get(detector_id)
    if detector is None:
        raise Refused(404, f"Can't find config with id: {detector_id}")
    return detector


def parsed(step: Step, detector_id: str) -> Detector:
    """The detector, read. Raises ``Refused`` (404) when there is none."""
    find(step, detector_id)
    detector = step.state.detector(detector_id)
    assert detector is not None
    return detector


def put(step: Step, command: DetectorPut) -> Answer:
    """Create or replace a detector."""
    detector_id = command.detector_id
    detector = read_detector(
        command.detector,
        limits=step.limits.detector,
        now_ms=step.now_ms,
        new_id=step.new_id,
        user=command.user,
    )
    before = step.state.detectors.get(detector_id)
    if before is None and command.mode == "update":
        find(step, detector_id)
    if before is not None and command.mode == "create":
        raise Refused(
            409,
            f"[{detector_id}]: version conflict, document already exists (current version [{before.version}])",
            "version_conflict_engine_exception",
        )
    if before is None:
        _check_id(step, detector_id)
    else:
        _refuse_running(step, detector_id)
        detector = _check_change(parsed(step, detector_id), detector)
    check_name(detector.name, step.limits.detector)
    if before is None:
        _check_room(step, detector_id, detector)
    check_features(detector.feature_attributes, step.limits.detector.max_features)
    _check_model(detector)
    owner = step.state.named(detector.name)
    if owner is not None and owner != detector_id:
        raise Refused(
            409,
            f"Cannot create anomaly detector with name [{detector.name}] as it's already used by another detector",
        )
    _check_sequence(step, command)
    document = stored_document(detector)
    _check_size(document, step.limits.detector_bytes)
    version = step.put_detector(detector_id, before, document)
    return Answer(detector_id, version, 201 if before is None else 200, ("detectors", detector_id))


def delete(step: Step, command: DetectorDelete) -> Answer:
    """Delete a detector with its job and all of its tasks; entity tasks follow, see ``Machine.tidy``."""
    detector = find(step, command.detector_id)
    _refuse_running(step, detector.id)
    for task in step.state.tasks_of(detector.id, REALTIME_TYPES | HISTORICAL_TYPES):
        step.delete("state", task.id)
    if detector.id in step.state.jobs:
        step.delete("state", detector.id)
    step.delete("detectors", detector.id)
    return Answer(detector.id, detector.version + 1, record=("detectors", detector.id))


def _check_id(step: Step, detector_id: str) -> None:
    # An id is part of the keys of models and results, and of paths and commands. Jobs lie beside tasks in one topic.
    if not _ID.fullmatch(detector_id):
        raise Refused(
            400,
            f"detector_id [{detector_id[:200]}] must be 1 to 128 characters of a-z, A-Z, 0-9, - and _, the first no -",
            "illegal_argument_exception",
        )
    if detector_id in step.state.tasks:
        raise Refused(409, f"detector_id [{detector_id}] is the id of a task", "version_conflict_engine_exception")


def _refuse_running(step: Step, detector_id: str) -> None:
    job = step.state.jobs.get(detector_id)
    if job is not None and job.document.enabled is True:
        raise Refused(400, f"Job is running: {detector_id}")
    task = step.state.historical_task(detector_id)
    if task is not None and task.document.state in LIVE_STATES:
        raise Refused(400, "Historical is running")


def _check_change(before: Detector, after: Detector) -> Detector:
    if before.category_fields != after.category_fields:
        raise Refused(400, "Can't change category field")
    if before.result_index != after.result_index:
        raise Refused(400, "Can't change custom result index")
    after = msgspec.structs.replace(after, user=before.user)
    if before.window_delay is None and after.window_delay == SHOWN_DELAY:
        # A client that sends back what it was shown has not asked for a fixed delay.
        after = msgspec.structs.replace(after, window_delay=None)
    return after


def _check_room(step: Step, detector_id: str, detector: Detector) -> None:
    if detector_id.startswith(HIDDEN):
        return
    limits = step.limits
    known = [other for id, other in step.state.detectors.items() if not id.startswith(HIDDEN)]
    if detector.category_field:
        several = sum(bool(other.document.get("category_field")) for other in known)
        if several >= limits.max_multi_entity_detectors:
            raise Refused(400, f"Can't create more than {limits.max_multi_entity_detectors} HC anomaly detectors.")
    if len(known) >= limits.max_detectors:
        raise Refused(400, f"Can't create more than {limits.max_detectors} single-stream anomaly detectors.")


def _check_model(detector: Detector) -> None:
    # A model that no worker can build would stop every worker that hears of the detector.
    features = max(1, len(detector.enabled_features))
    ForestSpec.from_document(detector.model, features=features, seed=0)


def _check_size(document: dict[str, Any], most: int) -> None:
    # A record that can't be written would stop the coordinator at this event for ever.
    try:
        size = len(msgspec.json.encode(document))
    except (ValueError, OverflowError, RecursionError) as error:
        raise Refused(400, f"The detector can't be stored: {error}", "illegal_argument_exception") from None
    if size > most:
        raise Refused(
            400, f"The detector is too large: {size} bytes, at most {most} are stored", "illegal_argument_exception"
        )


def _check_sequence(step: Step, command: DetectorPut) -> None:
    if command.if_seq_no is None and command.if_primary_term is None:
        return
    if command.if_seq_no is None:
        raise Refused(
            400, f"Validation Failed: 1: ifSeqNo is unassigned, but primary term is [{command.if_primary_term}];"
        )
    if command.if_primary_term is None:
        raise Refused(400, "Validation Failed: 1: ifSeqNo is set, but primary term is [0];")
    current = step.state.detector_offset(command.detector_id)
    if (command.if_seq_no, command.if_primary_term) != (current, 1):
        raise Refused(400, f"There was a problem updating the config:[{command.detector_id}]")
