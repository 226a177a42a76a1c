"""``riverwatch detectors create``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import click

from deploy.api_client.detector_document import detector_document
from deploy.api_client.detectors import DetectorsApi
from deploy.api_client.settings import ClientSettings, api_options
from deploy.command_line.environment import feature_options
from schemas.errors import Refused
from schemas.record_format import RECORD_FORMATS


@click.command("create")
@click.option("--topic", "topics", required=True, multiple=True, help="Kafka topic, may have wildcards; repeatable.")
@click.option("--time", "time_field", required=True, metavar="FIELD", help="Field with the record's time.")
@feature_options
@click.option("--interval", required=True, metavar="10s", help="Length of a window (s, m, h, d).")
@click.option("--name", help="Unique; made from topic and features if not given.")
@click.option("--description", default="", help="Free text.")
@click.option("--delay", metavar="30s", help="How late records may arrive; by default this is measured.")
@click.option("--where", metavar="QUERY", help="Only records that match, as in: status:200 AND NOT host:test*")
@click.option("--start", "start", is_flag=True, help="Start real-time detection at once.")
@click.option("--json", "as_json", is_flag=True, help="The detector as the API shows it.")
@api_options
def create_command(
    topics: Sequence[str],
    time_field: str,
    features: Sequence[str],
    interval: str,
    by: Sequence[str],
    name: str | None,
    description: str,
    delay: str | None,
    where: str | None,
    start: bool,
    as_json: bool,
    client: ClientSettings,
) -> None:
    """Create a detector.

    \b
    riverwatch detectors create --topic metrics --time timestamp --by host --feature avg:cpu --interval 10s
    """
    try:
        document = detector_document(
            topics=topics,
            time_field=time_field,
            features=features,
            interval=interval,
            by=by,
            delay=delay,
            name=name,
            description=description,
            where=where,
        )
    except Refused as refused:
        raise click.UsageError(refused.reason) from refused
    with DetectorsApi(client) as api:
        id = api.create(document)
        if start:
            api.start(id)
        created = api.get(id)
        if as_json:
            click.echo(json.dumps(created))
        else:
            click.echo(f"created {document['name']}  {id}" + ("  started" if start else ""))
            click.echo(_read_as(created["anomaly_detector"]), err=True)
        for warning in api.warnings:
            click.echo(f"warning: {warning}", err=True)


def _read_as(detector: Mapping[str, Any]) -> str:
    """How records and their times are read: what the API has told from the sample.

    >>> _read_as({"time_field": "ts", "format": "line-protocol", "time_unit": "nanoseconds"})
    'records: InfluxDB line protocol; ts: nanoseconds'
    """
    format_ = detector.get("format")
    told = "records: " + ("each tells its own format" if format_ is None else RECORD_FORMATS[format_])
    points = f", points in {detector['points']}" if "points" in detector else ""
    return f"{told}{points}; {detector['time_field']}: {detector.get('time_unit', 'as each tells')}"
