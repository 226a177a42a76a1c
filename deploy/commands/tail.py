"""``riverwatch tail``: follow results or anomalies."""

from __future__ import annotations

import os

import click

from deploy.command_line.environment import kafka_options, overlay, read_settings
from deploy.command_line.result_line import result_line
from deploy.supervision.signals import stoppable
from deploy.topics.results import ResultReader
from streams.settings import Settings


@click.command("tail")
@click.argument("what", type=click.Choice(["results", "anomalies"]))
@click.option("--detector", "detector_id", help="Only those of this detector.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document a line, as in the topic.")
@click.option("--from-beginning", is_flag=True, help="Begin with what the topic holds (about 30 days).")
@kafka_options
def command(
    what: str, detector_id: str | None, as_json: bool, from_beginning: bool, brokers: str | None, prefix: str | None
) -> None:
    """Print each result (or anomaly) as it arrives, until Ctrl-C.

    A readable line shows the end of the window, the detector, the entity, the features' values, and the anomaly's
    grade and confidence.
    """
    settings = read_settings(Settings, overlay(os.environ, brokers=brokers, prefix=prefix))
    with stoppable():
        reader = ResultReader(settings.client(), settings.topic(what), from_beginning=from_beginning)
        click.echo(f"tail ready on {settings.topic(what)}", err=True)
        while True:
            for result, raw in reader.poll(0.2):
                if detector_id is None or result.detector_id == detector_id:
                    click.echo(raw if as_json else result_line(result))
