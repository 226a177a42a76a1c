"""``riverwatch detectors results|top``."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from deploy.api_client.detectors import DetectorsApi
from deploy.api_client.settings import ClientSettings, api_options
from deploy.command_line.table import print_table
from deploy.command_line.times import parse_range, utc

_F = TypeVar("_F", bound=Callable[..., Any])


def _span(command: _F) -> _F:
    """``--from``, ``--to`` and ``--history``."""
    for option in (
        click.option("--history", "historical", is_flag=True, help="Of the latest historical analysis instead."),
        click.option("--to", "end", default="now", show_default=True, metavar="TIME", help="The same; not included."),
        click.option(
            "--from",
            "begin",
            default="-1d",
            show_default=True,
            metavar="TIME",
            help="End of the first window: epoch ms, ISO 8601 (UTC), now, or -6h.",
        ),
    ):
        command = option(command)
    return command


@click.command("results")
@click.argument("detector")
@click.option("--anomalies", is_flag=True, help="Only those with a grade above 0.")
@click.option("--entity", "entities", multiple=True, metavar="FIELD=VALUE", help="Only of this entity; repeatable.")
@click.option("--worst", is_flag=True, help="The highest grades first, not the latest.")
@click.option("--size", type=click.IntRange(1, 10_000), default=20, show_default=True, help="At most this many.")
@_span
@click.option("--json", "as_json", is_flag=True, help="One result document a line.")
@api_options
def results_command(
    detector: str,
    anomalies: bool,
    entities: Sequence[str],
    worst: bool,
    size: int,
    begin: str,
    end: str,
    historical: bool,
    as_json: bool,
    client: ClientSettings,
) -> None:
    """Show the results of DETECTOR (an id or a name), the latest first.

    riverwatch tail follows them as they arrive.
    """
    start_ms, end_ms = parse_range(begin, end)
    filters: list[dict[str, Any]] = [{"range": {"data_end_time": {"gte": start_ms, "lt": end_ms}}}]
    filters += [_entity_query(text) for text in entities]
    if anomalies:
        filters.append({"range": {"anomaly_grade": {"gt": 0}}})
    order = [{"data_end_time": "desc"}]
    with DetectorsApi(client) as api:
        id = api.find(detector)
        query: dict[str, Any] = {"filter": [{"term": {"detector_id": {"value": id}}}, *filters]}
        if historical:
            task = (api.get(id).get("historical_analysis_task") or {}).get("task_id", "")
            query["filter"].append({"term": {"task_id": {"value": task}}})
        else:
            query["must_not"] = [{"exists": {"field": "task_id"}}]
        sort = [{"anomaly_grade": "desc"}, *order] if worst else order
        hits = api.results({"query": {"bool": query}, "sort": sort, "size": size})["hits"]["hits"]
    if as_json:
        for hit in hits:
            click.echo(json.dumps({"id": hit["_id"], **hit["_source"]}))
        return
    print_table(
        ("WINDOW END (UTC)", "ENTITY", "VALUES", "GRADE", "CONFIDENCE", "ERROR"), [_row(hit["_source"]) for hit in hits]
    )


@click.command("top")
@click.argument("detector")
@click.option("--by", multiple=True, metavar="FIELD", help="Of the detector's category fields; all if not given.")
@click.option("--most", is_flag=True, help="The most anomalies first, not the worst.")
@click.option("--size", type=click.IntRange(1, 1000), default=10, show_default=True, help="At most this many.")
@_span
@click.option("--json", "as_json", is_flag=True, help="One bucket a line.")
@api_options
def top_command(
    detector: str,
    by: Sequence[str],
    most: bool,
    size: int,
    begin: str,
    end: str,
    historical: bool,
    as_json: bool,
    client: ClientSettings,
) -> None:
    """Show the entities of DETECTOR (an id or a name) with the worst anomalies."""
    start_ms, end_ms = parse_range(begin, end)
    body: dict[str, Any] = {
        "start_time_ms": start_ms,
        "end_time_ms": end_ms,
        "size": size,
        "order": "occurrence" if most else "severity",
    }
    if by:
        body["category_field"] = list(by)
    with DetectorsApi(client) as api:
        buckets = api.top(api.find(detector), body, historical=historical)
    if as_json:
        for bucket in buckets:
            click.echo(json.dumps(bucket))
        return
    fields = list(buckets[0]["key"]) if buckets else list(by)
    print_table(
        (*(field.upper() for field in fields), "HIGHEST GRADE", "ANOMALIES"),
        [
            (*(bucket["key"][field] for field in fields), bucket["max_anomaly_grade"], bucket["doc_count"])
            for bucket in buckets
        ],
    )


def _entity_query(text: str) -> dict[str, Any]:
    name, equals, value = text.partition("=")
    if not equals:
        raise click.UsageError(f"--entity {text}: FIELD=VALUE is expected")
    both = [{"term": {"entity.name": {"value": name}}}, {"term": {"entity.value": {"value": value}}}]
    return {"nested": {"path": "entity", "query": {"bool": {"filter": both}}}}


def _row(result: dict[str, Any]) -> tuple[object, ...]:
    return (
        utc(result["data_end_time"]),
        ",".join(f"{each['name']}={each['value']}" for each in result.get("entity") or []),
        " ".join(f"{each['feature_name']}={each['data']:.6g}" for each in result.get("feature_data") or []),
        result.get("anomaly_grade"),
        result.get("confidence"),
        result.get("error"),
    )
