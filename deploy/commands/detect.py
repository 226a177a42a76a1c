"""``riverwatch detect``: find anomalies in a file, without Kafka."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import click

from deploy.api_client.detector_document import detector_document
from deploy.command_line.environment import feature_options
from deploy.command_line.result_line import result_line
from deploy.offline.fields import Fields
from deploy.offline.file import FileFormat, read_rows
from deploy.offline.run import FileRun, detector_of
from schemas.result import Result, encode_result
from schemas.time_unit import TIME_UNITS


@click.command("detect")
@click.argument("file", type=click.Path(dir_okay=False, exists=True, allow_dash=True, path_type=Path))
@click.option("--time", "time_field", required=True, metavar="FIELD", help="Epoch time or ISO 8601 (UTC).")
@feature_options
@click.option("--where", metavar="QUERY", help="Only rows that match, as in: status:200 AND NOT host:test*")
@click.option("--interval", metavar="5m", help="Length of a window (s, m, h, d); found from the rows if not given.")
@click.option(
    "--delay", metavar="30s", help="Leave out rows that are later, as a running detector does; else none is late."
)
@click.option(
    "--time-unit",
    type=click.Choice(list(TIME_UNITS)),
    help="Of times that are numbers; found from the rows if not given.",
)
@click.option("--time-format", metavar="FORMAT", help="Of times in another order, as in: %d/%m/%Y %H:%M")
@click.option("--time-zone", metavar="ZONE", help="Of times without an offset, as in: Europe/Berlin")
@click.option("--encoding", metavar="NAME", help="Of text that is not UTF-8, as in: cp1252")
@click.option("--no-header", is_flag=True, help="The first line of the text is a row; columns are named 1, 2, ...")
@click.option("--sensitivity", default=1.0, show_default=True, help="2 alarms at half the distance, 0.5 at twice.")
@click.option("--river", is_flag=True, help="River's own model instead of the default.")
@click.option("--seed", type=click.IntRange(0), help="Draws other trees; as model.seed of a detector.")
@click.option("--json", "as_json", is_flag=True, help="Result documents, one a line.")
@click.option("--all", "everything", is_flag=True, help="Every window, not only anomalies.")
@click.option("--plot", type=click.Path(dir_okay=False, path_type=Path), help="Draw the series with their anomalies.")
def command(
    file: Path,
    time_field: str,
    features: Sequence[str],
    by: Sequence[str],
    where: str | None,
    interval: str | None,
    delay: str | None,
    time_unit: str | None,
    time_format: str | None,
    time_zone: str | None,
    encoding: str | None,
    no_header: bool,
    sensitivity: float,
    river: bool,
    seed: int | None,
    as_json: bool,
    everything: bool,
    plot: Path | None,
) -> None:
    """Find the anomalies in FILE (- reads standard input).

    \b
    riverwatch detect metrics.csv --time timestamp --feature avg:cpu --by host

    FILE is delimited text (comma, semicolon, tab or |), JSON (an object a line, or an array of them) or Parquet; text
    and JSON may be compressed with gzip. Rows are decoded, put into windows and scored as by a worker: the same records
    in a topic come to the same results.
    """
    model = {"type": "river" if river else "default", "sensitivity": sensitivity}
    document: dict[str, Any] = detector_document(
        topics=["file"],
        time_field=time_field,
        features=features,
        interval=interval or "1s",
        by=by,
        delay=delay,
        name="detect",
        where=where,
    )
    extensions = {"model": model if seed is None else {**model, "seed": seed}, "time_unit": time_unit}
    detector = detector_of({**document, **extensions})
    fields = Fields(
        time_field,
        tuple(by),
        tuple(feature.aggregation.field for feature in detector.enabled_features),
        whole=where is not None,
    )
    form = FileFormat(encoding=encoding, header=not no_header, time_format=time_format, time_zone=time_zone)
    run = FileRun(detector, read_rows(file, fields, form), fields, find_interval=interval is None)
    results: list[Result] = []
    windows = anomalies = 0
    with click.progressbar(run.results(), length=run.steps, hidden=not sys.stderr.isatty(), file=sys.stderr) as steps:
        for result in chain.from_iterable(steps):
            anomaly = isinstance(result.anomaly_grade, float) and result.anomaly_grade > 0
            windows, anomalies = windows + 1, anomalies + anomaly
            if plot is not None:
                results.append(result)
            if anomaly or everything:
                click.echo(encode_result(result).decode() if as_json else result_line(result, detector=False))
    for line in run.counts.lines():
        click.echo(line, err=True)
    click.echo(
        f"{windows:,} windows of {run.plan.interval_ms // 1000} s, {run.models:,} models, {anomalies:,} anomalies",
        err=True,
    )
    if plot is not None:
        from deploy.offline.chart import draw  # Matplotlib takes a second to import, and most runs draw nothing

        draw(plot, results, [feature.feature_name for feature in detector.enabled_features])
