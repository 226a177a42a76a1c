"""The profile of a detector and of one of its entities (anchor section 1.15)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from api.detectors.catalog import Catalog, StoredDocument, task_document
from api.http.requests import Answer, Request, as_object, parse_json
from api.nodes.view import Nodes
from api.results.queries import Queries
from api.search.index import Candidates
from api.security.access import Access
from schemas.errors import Refused
from schemas.node import Model, Node, RunStatistics
from schemas.task import LIVE_STATES, ROWS_TO_INIT
from schemas.token import as_array, as_text
from schemas.token import as_object as read_object

MODELS_SHOWN = 100
"""Models listed per worker; ``model_count`` has the true number."""

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
    "ad_task",
)
DEFAULT_TYPES = frozenset({"state", "error"})
ENTITY_TYPES = ("entity_info", "init_progress", "models", "state")

DIRECT = 128
"""So few entity tasks are told before a thread would have begun."""

Runs = list[tuple[Node, RunStatistics]]


async def profile(request: Request, access: Access, catalog: Catalog, nodes: Nodes, queries: Queries) -> Answer:
    """``GET|POST /detectors/{detectorID}/_profile[/{type}]``."""
    id = request.path_parameters["detectorID"]
    entity = _entity(request)
    known = ENTITY_TYPES if entity is not None else TYPES
    asked = _asked(request, known, frozenset({"state"}) if entity is not None else DEFAULT_TYPES)
    detector = access.detector(id, request)
    if entity is not None:
        return Answer(_entity_profile(detector, entity, asked, catalog.realtime_task(id), nodes, request.now))
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
    """How long windows wait for late records: what was given, or what is measured now where the detector runs.

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


def _state(task: StoredDocument | None) -> str:
    return "RUNNING" if task is not None and task.source["state"] == "RUNNING" else "INIT"


def _run_profile(
    detector: StoredDocument, task: StoredDocument | None, runs: Runs, many: bool, asked: frozenset[str]
) -> dict[str, Any]:
    """What only the workers know about a running detector."""
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
    if many and "total_entities" in asked:
        profile["total_entities"] = sum(run.entities for _, run in runs)
    if many and "active_entities" in asked:
        profile["active_entities"] = sum(run.active_entities for _, run in runs)
    return profile


def init_progress(rows: int, period: dict[str, Any]) -> dict[str, Any]:
    """How far a model is from giving grades; members that would be 0 are left out, as the anchor does.

    >>> init_progress(30, {"interval": 5, "unit": "Minutes"})
    {'percentage': '94%', 'estimated_minutes_left': 10, 'needed_shingles': 2}
    >>> init_progress(40, {"interval": 5, "unit": "Minutes"})
    {'percentage': '100%'}
    """
    missing = max(0, ROWS_TO_INIT - rows)
    progress: dict[str, Any] = {"percentage": f"{100 * (ROWS_TO_INIT - missing) / ROWS_TO_INIT:.0f}%"}
    if missing:
        seconds = missing * period["interval"] * (60 if period["unit"] == "Minutes" else 1)
        progress["estimated_minutes_left"] = -(-seconds // 60)
        progress["needed_shingles"] = missing
    return progress


def _models(node: Node, run: RunStatistics) -> list[dict[str, Any]]:
    size = run.model_bytes // max(1, run.entities)
    mine = [model for model in node.models if model.detector_id == run.detector_id][:MODELS_SHOWN]
    return [_model(model, size, node.node_id) for model in mine]


def _model(model: Model, size: int, node_id: str) -> dict[str, Any]:
    shown: dict[str, Any] = {"model_id": model.model_id}
    if model.entity is not None:
        shown["entity"] = msgspec.to_builtins(model.entity)
    return {**shown, "model_size_in_bytes": size, "node_id": node_id}


def _task_profile(task: StoredDocument, candidates: Candidates[StoredDocument]) -> dict[str, Any]:
    """The historical task, and while it runs what its models are doing."""
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


def _entity(request: Request) -> dict[str, str] | None:
    """The entity that is asked about, by field; None for the detector as a whole."""
    field, value = request.parameters.get("category_field"), request.parameters.get("entity")
    if field is not None and value is not None:
        return {field: value}
    if request.body:
        body = as_object(parse_json(request.body))
        if "entity" not in body:
            return None
        pairs = [read_object(pair) for pair in as_array(body["entity"])]
        entity = {as_text(pair.get("name", "")): as_text(pair.get("value", "")) for pair in pairs}
        if not entity:
            raise Refused(400, "Empty entity attributes")
        return entity
    return None


def _entity_profile(
    detector: StoredDocument,
    entity: dict[str, str],
    asked: frozenset[str],
    task: StoredDocument | None,
    nodes: Nodes,
    now: int,
) -> dict[str, Any]:
    fields = detector.source.get("category_field") or []
    if not fields:
        raise Refused(400, "This is not a high cardinality detector")
    for field in fields:
        if field not in entity:
            raise Refused(400, f"Cannot find {field}")
    profile: dict[str, Any] = {}
    found = _find(detector.id, entity, nodes, now)
    running = found is not None and _state(task) == "RUNNING"
    if "entity_info" in asked:
        profile["is_active"] = found is not None
        if found is not None:
            profile["last_active_timestamp"] = found[2].last_used_time
            profile["last_sample_timestamp"] = found[2].last_used_time
    if "init_progress" in asked:
        rows = ROWS_TO_INIT if running else (0 if found is None else min(found[1].rows, ROWS_TO_INIT - 1))
        profile["init_progress"] = init_progress(rows, detector.source["detection_interval"]["period"])
    if "models" in asked and found is not None:
        node, run, model = found
        profile["model"] = _model(model, run.model_bytes // max(1, run.entities), node.node_id)
    if "state" in asked and (found is not None or task is not None):
        profile["state"] = "RUNNING" if running else "INIT"
    return profile


def _find(detector_id: str, entity: dict[str, str], nodes: Nodes, now: int) -> tuple[Node, RunStatistics, Model] | None:
    for node, run in nodes.runs(detector_id, now):
        for model in node.models:
            if model.detector_id == detector_id and model.entity is not None:
                values = {each.name: each.value for each in model.entity}
                if values == entity:
                    return node, run, model
    return None
