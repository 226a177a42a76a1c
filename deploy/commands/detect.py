"""``riverwatch detect``: find anomalies in a file, without Kafka."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

if TYPE_CHECKING:
    from deploy.offline import Windows
    from schemas.result import Result
    from streams.forest.arrays import Float64Array


@click.command("detect")
@click.argument("file", type=click.File("r", encoding="utf-8-sig"))
@click.option("--time", "time_field", required=True, metavar="COLUMN", help="Epoch milliseconds or ISO 8601.")
@click.option(
    "--feature", "features", required=True, multiple=True, metavar="KIND:COLUMN", help="avg, sum, min, max, count."
)
@click.option("--by", multiple=True, metavar="COLUMN", help="One model for each value of the column.")
@click.option("--interval", metavar="5m", help="Length of a window (s, m, h, d); found from the data if not given.")
@click.option("--sensitivity", default=1.0, show_default=True, help="2 alarms at half the distance, 0.5 at twice.")
@click.option("--river", is_flag=True, help="River's own model instead of the default.")
@click.option("--seed", default=42, show_default=True, help="Another seed draws other trees.")
@click.option("--json", "as_json", is_flag=True, help="Result documents, one a line.")
@click.option("--all", "everything", is_flag=True, help="Every window, not only anomalies.")
@click.option("--plot", type=click.Path(dir_okay=False, path_type=Path), help="Draw the series with their anomalies.")
def command(
    file: TextIO,
    time_field: str,
    features: Sequence[str],
    by: Sequence[str],
    interval: str | None,
    sensitivity: float,
    river: bool,
    seed: int,
    as_json: bool,
    everything: bool,
    plot: Path | None,
) -> None:
    """Find the anomalies in FILE (CSV with a header, or a JSON object a line; - reads standard input).

    \b
    riverwatch detect metrics.csv --time timestamp --feature avg:cpu --by host
    """
    import numpy as np

    from deploy import offline
    from deploy.command_line.times import parse_interval
    from schemas.errors import Refused
    from schemas.result import encode_result
    from streams.forest import ForestSpec

    wanted = [offline.Feature.parse(feature) for feature in features]
    model = {"type": "river" if river else "default", "sensitivity": sensitivity}
    records = offline.read_records(offline.read_rows(file), time_field, wanted, by)
    if records.unusable:
        click.echo(f"{records.unusable} records have no usable {' or '.join((time_field, *by))}", err=True)
    if not len(records.times):
        raise Refused(400, f"No record has a usable {time_field}")
    length = parse_interval(interval) if interval else offline.find_interval(records)
    spec = ForestSpec.from_document(model, features=len(wanted), seed=seed, interval=max(1, length // 1000))
    windows = offline.aggregate(records, wanted, length)
    grades = np.zeros(len(windows.ends))
    with click.progressbar(length=len(windows.ends), label="windows", file=sys.stderr) as bar:
        for part, steps in offline.score(windows, len(records.keys), spec):
            grades[part] = steps.grade
            for event in range(len(steps.grade)) if everything else np.flatnonzero(steps.grade).tolist():
                place = part.start + event
                key = records.keys[windows.entities[place]]
                document = offline.result(windows, place, steps, event, wanted, by, key)
                click.echo(encode_result(document).decode() if as_json else readable(document))
            bar.update(len(steps.grade))
    click.echo(
        f"{len(windows.ends)} windows of {length // 1000} s, {len(records.keys)} models, "
        f"{int((grades > 0).sum())} anomalies",
        err=True,
    )
    if plot is not None:
        draw(plot, windows, grades, [feature.name for feature in wanted], records.keys)


def readable(document: Result) -> str:
    """A line for people: when, whose, the values, what was expected, grade and confidence."""
    from datetime import UTC, datetime

    end = datetime.fromtimestamp(document.data_end_time / 1000, UTC)
    entity = ", ".join(f"{each.name} {each.value}" for each in document.entity or ())
    expected = {each.feature_id: each.data for values in document.expected_values or () for each in values.value_list}
    values = ", ".join(
        f"{each.feature_name} {each.data:.6g}"
        + (f" (expected {expected[each.feature_id]:.6g})" if each.feature_id in expected else "")
        for each in document.feature_data or ()
    )
    verdict = f"grade {document.anomaly_grade:.2f}, confidence {document.confidence:.2f}"
    return "  ".join(filter(None, [f"{end:%Y-%m-%d %H:%M:%S}", entity, values, verdict]))


def draw(path: Path, windows: Windows, grades: Float64Array, names: Sequence[str], keys: Sequence[str]) -> None:
    """Draw the features of the (up to eight) entities with the most anomalies."""
    import matplotlib as mpl
    import numpy as np

    mpl.use("Agg")
    from matplotlib import pyplot

    alarms = np.bincount(windows.entities, grades > 0, minlength=len(keys))
    chosen = np.argsort(-alarms, kind="stable")[:8]
    figure, axes = pyplot.subplots(
        len(chosen) * len(names), squeeze=False, figsize=(12, 2.2 * len(chosen) * len(names)), layout="constrained"
    )
    for row, (entity, feature) in enumerate((entity, feature) for entity in chosen for feature in range(len(names))):
        here = np.flatnonzero(windows.entities == entity)
        times = windows.ends[here].astype("datetime64[ms]")
        axis = axes[row, 0]
        axis.plot(times, windows.values[here, feature], linewidth=0.7, color="#2b5c8a")
        odd = here[grades[here] > 0]
        axis.scatter(
            windows.ends[odd].astype("datetime64[ms]"), windows.values[odd, feature], s=30, color="#c62828", zorder=3
        )
        axis.set_title(" ".join(filter(None, [keys[entity], names[feature]])), fontsize=9, loc="left")
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
