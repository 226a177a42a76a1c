"""Statistics of workers and of the cluster."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from api.detectors.catalog import Catalog
from api.http.requests import Answer, Request, unrecognized
from api.kafka.readiness import Readiness
from api.nodes.view import Nodes
from api.search.request import check_timeout
from api.security.access import Access
from api.security.visibility import Visibility
from schemas.node import MODELS_SHOWN, Node
from schemas.token import illegal_argument

MODEL_TYPE = "trcf"
"""OpenSearch's type of every model; Search Guard has none."""

OWN_STATS: dict[str, Callable[[Node], int]] = {
    "dead_letter_count": lambda node: sum(sum(counts.values()) for counts in node.dead_letters.values()),
    "unreadable_record_count": lambda node: sum(node.unreadable.values()),
    "clock_skew_ms": lambda node: node.clock_skew_ms,
}
"""What OpenSearch has not: figures, which name nobody's topics."""

NODE_STATS = (
    "ad_execute_request_count",
    "ad_execute_failure_count",
    "ad_hc_execute_request_count",
    "ad_hc_execute_failure_count",
    "ad_executing_batch_task_count",
    "ad_canceled_batch_task_count",
    "ad_total_batch_task_execution_count",
    "ad_batch_task_failure_count",
    "ad_model_corruption_count",
    "model_count",
    "models",
    *OWN_STATS,
)
CLUSTER_STATS = (
    "anomaly_detectors_index_status",
    "anomaly_results_index_status",
    "models_checkpoint_index_status",
    "anomaly_detection_state_status",
    "anomaly_detection_job_index_status",
    "forecast_config_index_status",
    "detector_count",
    "single_stream_detector_count",
    "hc_detector_count",
)
LEGACY_CLUSTER_STATS = ("single_entity_detector_count", "multi_entity_detector_count")


async def stats(request: Request, access: Access, catalog: Catalog, nodes: Nodes, readiness: Readiness) -> Answer:
    """``GET [/{nodeId}]/stats[/{stat}]``."""
    names = _names(request)
    check_timeout(request.parameters.get("timeout"), "StatsRequest.timeout")
    visibility = access.visibility(request)
    cluster = _cluster(catalog, readiness, visibility, legacy=request.search_guard)
    answer = {name: value for name, value in cluster.items() if name in names}
    chosen = _chosen(request.path_parameters.get("nodeId"), nodes.live(request.now))
    shown = [name for name in NODE_STATS if name in names]
    answer["nodes"] = {
        id: _node(_seen(node, visibility), shown, legacy=request.search_guard) for id, node in chosen.items()
    }
    return Answer(answer)


def _names(request: Request) -> set[str]:
    """The requested statistics. Raises ``Refused`` (400) for unknown ones."""
    known = (*CLUSTER_STATS, *NODE_STATS, *(LEGACY_CLUSTER_STATS if request.search_guard else ()))
    asked = {name for name in request.path_parameters.get("stat", "_all").split(",") if name}
    if "_all" in asked:
        if len(asked) > 1:
            raise illegal_argument(f"Request {request.path} contains _all and individual stats")
        return set(known)
    unknown = sorted(asked - set(known))
    if unknown:
        raise illegal_argument(unrecognized(request.path, unknown, (), "stat"))
    return asked


def _cluster(catalog: Catalog, readiness: Readiness, visibility: Visibility, *, legacy: bool) -> dict[str, Any]:
    def status(*topics: str) -> str:
        return "green" if any(readiness.ever_written(topic) for topic in topics) else "non-existent"

    single, many = detector_counts(catalog, visibility)
    answer = {
        "anomaly_detectors_index_status": status("detectors"),
        "anomaly_results_index_status": status("results"),
        "models_checkpoint_index_status": "green" if catalog.jobs else "non-existent",
        "anomaly_detection_state_status": status("state"),
        "anomaly_detection_job_index_status": "green" if catalog.jobs else "non-existent",
        "forecast_config_index_status": "non-existent",
        "detector_count": single + many,
        "single_stream_detector_count": single,
        "hc_detector_count": many,
    }
    if legacy:
        answer["single_entity_detector_count"] = single
        answer["multi_entity_detector_count"] = many
    return answer


def detector_counts(catalog: Catalog, visibility: Visibility) -> tuple[int, int]:
    """How many detectors without and with category fields the user sees."""
    if visibility.everything:
        return catalog.counts()
    shown = visibility.detectors()
    many = sum(bool(each.source.get("category_field")) for each in shown)
    return len(shown) - many, many


def _chosen(asked: str | None, live: dict[str, Node]) -> dict[str, Node]:
    if asked is None:
        return live
    wanted = set(asked.split(","))
    if wanted & {"_all", "_local", "*"}:
        return live
    return {id: node for id, node in live.items() if id in wanted}


def _seen(node: Node, visibility: Visibility) -> Node:
    """A worker as the user may see it: only models of visible detectors are counted and listed.

    The other figures are about the worker as a whole.
    """
    if visibility.everything:
        return node
    runs = [run for run in node.runs if visibility.shows(run.detector_id)]
    models = [model for model in node.models if visibility.shows(model.detector_id)]
    return msgspec.structs.replace(node, model_count=sum(run.entities for run in runs), models=models)


def _node(node: Node, names: list[str], *, legacy: bool) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    for name in names:
        if name in OWN_STATS:
            shown[name] = OWN_STATS[name](node)
        else:
            shown[name] = _models(node, legacy) if name == "models" else getattr(node, name)
    return shown


def _models(node: Node, legacy: bool) -> list[dict[str, Any]]:
    models: list[dict[str, Any]] = [msgspec.to_builtins(model) for model in node.models[:MODELS_SHOWN]]
    return models if legacy else [{**model, "model_type": MODEL_TYPE} for model in models]
