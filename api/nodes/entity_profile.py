"""The profile of one entity of a detector."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from api.detectors.catalog import StoredDocument
from api.detectors.sample import source_of
from api.kafka.source_topics import SourceTopics
from api.nodes.init_progress import init_progress
from api.nodes.models import shown_model
from schemas.detector import load_detector
from schemas.errors import Refused
from schemas.node import Model, Node, RunStatistics
from schemas.query import compile_query
from schemas.query.values import field_values
from schemas.task import ROWS_TO_INIT
from schemas.token import as_array, as_object, as_text

ENTITY_TYPES = ("entity_info", "init_progress", "models", "state")

Found = tuple[Node, RunStatistics, Model]

_NO_ENTITY = "Cannot find entity"


def read_entity(body: Mapping[str, Any]) -> dict[str, str] | None:
    """The entity in a body, by field; None for another body."""
    if next(iter(body), None) != "entity":
        return None
    pairs = [as_object(pair) for pair in as_array(body["entity"])]
    return {as_text(pair.get("name", "")): as_text(pair.get("value", "")) for pair in pairs}


async def require_entity(detector: StoredDocument, entity: dict[str, str], source_topics: SourceTopics) -> None:
    """Raise 400 unless one of the newest records of the detector's topics belongs to the entity."""
    config = load_detector(detector.definition)
    matches = compile_query(config.filter_query)
    try:
        topics = await source_topics.topics(config.indices)
        samples = await source_topics.samples(topics, source_of(config))
    except Refused as refused:
        if refused.status == 404:
            raise Refused(400, _NO_ENTITY) from None
        raise
    for record in (record for sample in samples for record in sample.records):
        if matches(record) and all(value in _texts(record, field) for field, value in entity.items()):
            return
    raise Refused(400, _NO_ENTITY)


def _texts(record: Mapping[str, Any], field: str) -> list[str]:
    return [as_text(value) for value in field_values(record, field) if isinstance(value, str | int | float)]


def check_entity(detector: StoredDocument, entity: dict[str, str]) -> None:
    """Raise 400 unless an entity has exactly the category fields of the detector."""
    fields = detector.source.get("category_field") or []
    if not fields:
        raise Refused(400, "This is not a high cardinality detector")
    if len(entity) != len(fields):
        raise Refused(400, _NO_ENTITY)
    for field in fields:
        if field not in entity:
            raise Refused(400, f"Cannot find {field}")


def entity_profile(detector: StoredDocument, found: Found | None, asked: frozenset[str], state: str) -> dict[str, Any]:
    """What is known of an entity of a detector that was started; without a model nothing but that there is none."""
    profile: dict[str, Any] = {}
    if "entity_info" in asked:
        profile["is_active"] = found is not None
    if found is None:
        return profile
    node, run, model = found
    if "entity_info" in asked:
        profile["last_active_timestamp"] = model.last_used_time
        profile["last_sample_timestamp"] = model.last_used_time
    if "init_progress" in asked:
        rows = ROWS_TO_INIT if state == "RUNNING" else min(run.rows, ROWS_TO_INIT - 1)
        profile["init_progress"] = init_progress(rows, detector.source["detection_interval"]["period"])
    if "models" in asked:
        profile["model"] = shown_model(model, run.model_bytes // max(1, run.entities), node.node_id)
    if "state" in asked:
        profile["state"] = state
    return profile


def find(detector_id: str, entity: dict[str, str], runs: Iterable[tuple[Node, RunStatistics]]) -> Found | None:
    """The model of an entity, with its worker and that worker's part of the run."""
    for node, run in runs:
        for model in node.models:
            values = {each.name: each.value for each in model.entity or ()}
            if model.detector_id == detector_id and values == entity:
                return node, run, model
    return None
