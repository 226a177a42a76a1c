"""The profile of a detector: state, models, progress, historical task."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec

from api.detectors.catalog import Catalog, StoredDocument, task_document
from api.http.requests import Answer, Request
from api.kafka.source_topics import SourceTopics
from api.nodes.entity_profile import ENTITY_TYPES, check_entity, entity_profile, find, read_entity, require_entity
from api.nodes.init_progress import init_progress
from api.nodes.models import shown_model
from api.nodes.view import Nodes
from api.results.queries import Queries
from api.search.memory.table import Candidates
from api.security.access import Access
from schemas.errors import Refused
from schemas.node import MODELS_SHOWN, Node, RunStatistics
from schemas.task import LIVE_STATES, ROWS_TO_INIT

TYPES = (
    "state",
    "error",
    "models",
    "coordinating_node",
    "total_size_in_bytes",
    "init_progress",
    "total_entities",
    "active_entities",
    "window_delay",
    "records",
    "ad_task",
)
DEFAULT_TYPES = frozenset({"state", "error"})

DIRECT = 128
"""Up to this many entity tasks are counted faster than a thread starts."""

Runs = list[tuple[Node, RunStatistics]]


async def profile(
    request: Request,
    access: Access,
    catalog: Catalog,
    nodes: Nodes,
    queries: Queries,
    source_topics: SourceTopics,
) -> Answer:
    """``GET|POST /detectors/{detectorID}/_profile[/{type}]``."""
    id = request.path_parameters["detectorID"]
    field, value = request.parameters.get("category_field"), request.parameters.get("entity")
    if field is not None and value is not None:
        entity: dict[str, str] | None = {field: value}
    else:
        entity = request.read(read_entity) if request.body else None
    known = ENTITY_TYPES if entity is not None else TYPES
    asked = _asked(request, known, frozenset({"state"}) if entity is not None else DEFAULT_TYPES)
    detector = access.detector(id, request)
    if entity is not None:
        check_entity(detector, entity)
        found = find(id, entity, nodes.runs(id, request.now))
        if found is None:
            await require_entity(detector, entity, source_topics)
        if id not in catalog.jobs:
            return Answer({})
        return Answer(entity_profile(detector, found, asked, _state(catalog.realtime_task(id))))
    profile = _detector_profile(detector, asked, request, catalog, nodes)
    historical = catalog.historical_task(id)
    if "ad_task" in asked and historical is not None:
        entities = catalog.entity_tasks(historical.id)
        if len(entities) <= DIRECT:
            profile["ad_task"] = _task_profile(historical, entities)
        else:
            profile["ad_task"] = await queries.documents(lambda _: _task_profile(historical, entities))
    order = [*TYPES, "model_count"]
    return Answer(dict(sorted(profile.items(), key=lambda item: order.index(item[0]))))


def _asked(request: Request, known: tuple[str, ...], default: frozenset[str]) -> frozenset[str]:
    if request.flag("_all"):
        return frozenset(known)
    if "type" not in request.path_parameters:
        return default
    asked = frozenset(request.path_parameters["type"].split(",")) & set(known)
    if not asked:
        raise Refused(400, "profiles to collect are missing or invalid")
    return asked


def _detector_profile(
    detector: StoredDocument, asked: frozenset[str], request: Request, catalog: Catalog, nodes: Nodes
) -> dict[str, Any]:
    """All but the historical task."""
    job = catalog.jobs.get(detector.id)
    enabled = job is not None and bool(job.source.get("enabled"))
    task = catalog.realtime_task(detector.id)
    historical = catalog.historical_task(detector.id)
    if job is None and historical is None and request.flag("_all"):
        return {}
    profile: dict[str, Any] = {}
    if "state" in asked:
        profile["state"] = _state(task) if enabled else "DISABLED"
    if "error" in asked and task is not None:
        error = task.source.get("error") or ""
        if enabled:
            error = nodes.error(error, request.now)
        if enabled or error:
            profile["error"] = error
    runs = list(nodes.runs(detector.id, request.now)) if enabled else []
    many = bool(detector.source.get("category_field"))
    if "window_delay" in asked:
        profile["window_delay"] = window_delay(detector, [run for _, run in runs])
    if enabled:
        profile |= _run_profile(detector, task, runs, many, asked)
    elif historical is not None and "total_size_in_bytes" in asked:
        profile["total_size_in_bytes"] = 0
    return profile


def window_delay(detector: StoredDocument, runs: Sequence[RunStatistics]) -> str:
    """How long windows wait for late records: the configured delay, or the measured one of a running detector.

    >>> window_delay(StoredDocument("d", 1, 0, {"window_delay": {"period": {"interval": 2, "unit": "Minutes"}}}), [])
    '120 s'
    >>> window_delay(StoredDocument("d", 1, 0, {}, automatic_delay=True), [])
    'auto'
    """
    if not detector.automatic_delay:
        period = detector.source["window_delay"]["period"]
        return f"{period['interval'] * (60 if period['unit'] == 'Minutes' else 1)} s"
    if not runs:
        return "auto"
    return f"auto, now {max(run.window_delay_ms for run in runs) / 1000:.1f} s"


def records_of(runs: Sequence[RunStatistics]) -> dict[str, Any]:
    """What became of the records of a running detector: those that count, and all others with the reason.

    >>> records_of([])["used"]
    0
    """
    counts = sum((Counter(run.counts) for run in runs), Counter[str]())
    return {
        "used": sum(run.records for run in runs),
        "late": sum(run.late_records for run in runs),
        "filtered": counts["filtered"],
        "missing_values": counts["missing"],
        "unusable_values": counts["unusable"],
        "dead_letters": dict(sum((Counter(run.dead_letters) for run in runs), Counter[str]())),
    }


def _state(task: StoredDocument | None) -> str:
    return "RUNNING" if task is not None and task.source["state"] == "RUNNING" else "INIT"


def _run_profile(
    detector: StoredDocument, task: StoredDocument | None, runs: Runs, many: bool, asked: frozenset[str]
) -> dict[str, Any]:
    """The part of a running detector's profile that comes from the workers."""
    profile: dict[str, Any] = {}
    models = [model for node, run in runs for model in _models(node, run)]
    if "models" in asked and models:
        profile["models"] = models
        profile["model_count"] = max(len(models), sum(run.entities for _, run in runs))
    if "coordinating_node" in asked:
        node = None if task is None else task.source.get("coordinating_node")
        profile["coordinating_node"] = node or next((each.node_id for each, _ in runs), "")
        if not profile["coordinating_node"]:
            del profile["coordinating_node"]
    if "total_size_in_bytes" in asked:
        profile["total_size_in_bytes"] = sum(run.model_bytes for _, run in runs)
    if "init_progress" in asked:
        running = _state(task) == "RUNNING"
        rows = ROWS_TO_INIT if running else max((run.rows for _, run in runs), default=0)
        profile["init_progress"] = init_progress(rows, detector.source["detection_interval"]["period"])
    if "records" in asked:
        profile["records"] = records_of([run for _, run in runs])
    if many and "total_entities" in asked:
        profile["total_entities"] = sum(run.entities for _, run in runs)
    if many and "active_entities" in asked:
        profile["active_entities"] = sum(run.active_entities for _, run in runs)
    return profile


def _models(node: Node, run: RunStatistics) -> list[dict[str, Any]]:
    size = run.model_bytes // max(1, run.entities)
    mine = [model for model in node.models if model.detector_id == run.detector_id][:MODELS_SHOWN]
    return [shown_model(model, size, node.node_id) for model in mine]


def _task_profile(task: StoredDocument, candidates: Candidates[StoredDocument]) -> dict[str, Any]:
    """The historical task, and while it runs the progress of its models."""
    profile: dict[str, Any] = {"ad_task": task_document(task)}
    if task.source["state"] not in LIVE_STATES:
        return profile
    node = task.source.get("worker_node") or task.source.get("coordinating_node") or ""
    rows = round(task.source.get("init_progress", 0.0) * ROWS_TO_INIT)
    profile |= {
        "node_id": node,
        "task_id": task.id,
        "task_type": task.source["task_type"],
        "detector_task_slots": 1,
    }
    if task.source["task_type"] != "HISTORICAL_HC_DETECTOR":
        return profile | {
            "rcf_total_updates": rows,
            "threshold_model_trained": rows >= ROWS_TO_INIT,
            "threshold_model_training_data_size": 0,
            "model_size_in_bytes": 0,
        }
    entities = candidates.read()
    running = [each for each in entities if each.source["state"] in ("INIT", "RUNNING")]
    pending = sum(each.source["state"] == "CREATED" for each in entities)
    return profile | {
        "total_entities_count": len(entities),
        "pending_entities_count": pending,
        "running_entities_count": len(running),
        "running_entities": [_entity_text(each) for each in running],
        "entity_task_profiles": [_entity_task(each, node) for each in running],
    }


def _entity_text(task: StoredDocument) -> str:
    entity = task.source.get("entity") or []
    if len(entity) == 1:
        return str(entity[0]["value"])
    return msgspec.json.encode(entity).decode()


def _entity_task(task: StoredDocument, node: str) -> dict[str, Any]:
    rows = round(task.source.get("init_progress", 0.0) * ROWS_TO_INIT)
    return {
        "rcf_total_updates": rows,
        "threshold_model_trained": rows >= ROWS_TO_INIT,
        "threshold_model_training_data_size": 0,
        "model_size_in_bytes": 0,
        "node_id": task.source.get("worker_node") or node,
        "entity": task.source.get("entity") or [],
        "task_id": task.id,
        "task_type": task.source["task_type"],
    }
