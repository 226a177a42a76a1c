"""``riverwatch detectors list|get|delete``."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from typing import Any

import click

from api.nodes.view import NO_WORKER
from deploy.api_client.detectors import DetectorsApi
from deploy.api_client.settings import ClientSettings, api_options
from deploy.command_line.table import print_table
from schemas.task import HISTORICAL_TYPES, LIVE_STATES, REALTIME_TYPES


@click.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@api_options
def list_command(as_json: bool, client: ClientSettings) -> None:
    """Show all detectors with their states."""
    with DetectorsApi(client) as api:
        found = api.all()
        kinds = [*REALTIME_TYPES, *HISTORICAL_TYPES]
        latest = {"bool": {"filter": [{"term": {"is_latest": "true"}}, {"terms": {"task_type": kinds}}]}}
        tasks = [hit["_source"] for hit in api.tasks(latest)] if found else []
        idle = bool(tasks) and api.workers() == 0
    notes = _notes(tasks, idle)
    live = {task["detector_id"]: task["state"] for task in tasks if task["task_type"] in REALTIME_TYPES}
    past = {
        task["detector_id"]: task
        for task in tasks
        if task["task_type"] in HISTORICAL_TYPES - {"HISTORICAL_HC_ENTITY"} and task["state"] in LIVE_STATES
    }
    if as_json:
        for hit in found:
            id = hit["_id"]
            state = {"id": id, "state": live.get(id), "analysis": past.get(id, {}).get("state"), "note": notes.get(id)}
            click.echo(json.dumps({**state, "anomaly_detector": hit["_source"]}))
        return
    print_table(
        ("NAME", "STATE", "ANALYSIS", "TOPICS", "BY", "FEATURES", "INTERVAL", "ID", "NOTE"),
        [
            (
                hit["_source"]["name"],
                live.get(hit["_id"]),
                _analysis(past.get(hit["_id"])),
                ",".join(hit["_source"]["indices"]),
                ",".join(hit["_source"].get("category_field") or []),
                ",".join(feature_text(each) for each in hit["_source"]["feature_attributes"]),
                interval_text(hit["_source"]["detection_interval"]),
                hit["_id"],
                note_text(notes.get(hit["_id"], "")),
            )
            for hit in found
        ],
    )


@click.command("get")
@click.argument("detector")
@click.option("--json", "as_json", is_flag=True, help="The API's document, with job and tasks.")
@api_options
def get_command(detector: str, as_json: bool, client: ClientSettings) -> None:
    """Show DETECTOR (an id or a name) with its job and its latest tasks."""
    with DetectorsApi(client) as api:
        id = api.find(detector)
        found = api.get(id)
        if as_json:
            click.echo(json.dumps(found))
            return
        print_table(("WHAT", "VALUE"), rows(found, api.window_delay(id)))


@click.command("delete")
@click.argument("detectors", nargs=-1, required=True, metavar="DETECTOR...")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation; implied without a terminal.")
@api_options
def delete_command(detectors: Sequence[str], yes: bool, client: ClientSettings) -> None:
    """Delete each DETECTOR (ids or names), with its job and tasks; results are kept. Refused while it runs."""
    with DetectorsApi(client) as api:
        ids = [api.find(detector) for detector in detectors]
        if not yes and sys.stdin.isatty():
            click.confirm(f"Delete {', '.join(detectors)}?", abort=True, err=True)
        for detector, id in zip(detectors, ids, strict=True):
            api.delete(id)
            click.echo(f"deleted {detector}")


def rows(found: dict[str, Any], window_delay: str) -> list[tuple[str, object]]:
    """Names and values to show for a detector, from the API's document."""
    document = found["anomaly_detector"]
    shown: list[tuple[str, object]] = [
        ("name", document["name"]),
        ("id", found["_id"]),
        ("description", document.get("description")),
        ("topics", ", ".join(document["indices"])),
        ("time", document["time_field"]),
        ("by", ", ".join(document.get("category_field") or [])),
        *(("feature", feature_text(each)) for each in document["feature_attributes"]),
        ("interval", interval_text(document["detection_interval"])),
        ("delay", window_delay),
        ("query", json.dumps(document["filter_query"])),
        ("user", (document.get("user") or {}).get("name")),
    ]
    for name, title in (("realtime_task", "real time"), ("historical_analysis_task", "analysis")):
        task = found.get(name)
        if task is not None:
            shown.append((title, task["state"] if name == "realtime_task" else _analysis(task)))
            shown += [(f"{title} error", task["error"])] if task.get("error") else []
    return shown


def feature_text(feature: dict[str, Any]) -> str:
    """A feature in short, such as ``load=avg:cpu``; one that has no short form is its JSON.

    >>> feature_text({"feature_name": "load", "aggregation_query": {"load": {"avg": {"field": "cpu"}}}})
    'load=avg:cpu'
    """
    (computed,) = list(feature["aggregation_query"].values())[:1] or [{}]
    if len(computed) == 1:
        ((kind, members),) = computed.items()
        if isinstance(members, dict) and "field" in members:
            kind = f"p{members['percents'][0]:g}" if kind == "percentiles" else kind
            return f"{feature['feature_name']}={kind}:{members['field']}"
    return f"{feature['feature_name']}={json.dumps(computed)}"


def interval_text(interval: dict[str, Any]) -> str:
    """An interval in short.

    >>> interval_text({"period": {"interval": 10, "unit": "Seconds"}})
    '10s'
    """
    return f"{interval['period']['interval']}{interval['period']['unit'][0].lower()}"


NOTE_LENGTH = 60
"""Characters."""


def _notes(tasks: Sequence[dict[str, Any]], idle: bool) -> dict[str, str]:
    """Notes on each detector, from the latest tasks; ``idle`` means that no worker is running."""
    notes: dict[str, list[str]] = {}
    for task in sorted(tasks, key=lambda task: task["task_type"] not in REALTIME_TYPES):
        of_detector = notes.setdefault(task["detector_id"], [])
        if idle and task["state"] in LIVE_STATES:
            of_detector.append(NO_WORKER)
        if task.get("error") and (task["state"] in LIVE_STATES or task["task_type"] in REALTIME_TYPES):
            of_detector.append(task["error"])
    return {id: "; ".join(dict.fromkeys(texts)) for id, texts in notes.items() if texts}


def note_text(error: str) -> str:
    """An error in short: its first part, and how many more there are.

    >>> note_text("412 records of metrics were late (a longer window_delay would take them in); no disk")
    '412 records of metrics were late (+1)'
    >>> note_text("no worker is running: start one with riverwatch worker")
    'no worker is running'
    """
    first, *more = error.split("; ")
    short = re.split(r" \(|: ", first)[0]
    short = short if len(short) <= NOTE_LENGTH else short[: NOTE_LENGTH - 1] + "…"
    return f"{short} (+{len(more)})" if more else short


def _analysis(task: dict[str, Any] | None) -> str | None:
    if task is None:
        return None
    return f"{task['state']} {100 * (task.get('task_progress') or 0):.0f}%"
