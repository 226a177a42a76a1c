"""``riverwatch demo``: Riverwatch on real data."""

from __future__ import annotations

import os

import click
from rich.console import Console

from deploy.demo.demo import run
from deploy.supervision.signals import stoppable


@click.command("demo")
@click.option("--once", is_flag=True, help="End after the archive instead of going on with live values.")
@click.option("--broker-port", type=click.IntRange(1, 65535), default=9092, show_default=True, help="Port of Kafka.")
@click.option("--api-port", type=click.IntRange(1, 65535), default=9200, show_default=True, help="Port of the API.")
def command(once: bool, broker_port: int, api_port: int) -> None:
    """Run everything on real metrics and print anomalies as they are found.

    Two weeks of eight metrics of real servers (from the Numenta Anomaly Benchmark) run through one topic; then the
    same metrics come live, one value a second, until Ctrl-C. A port that is taken is replaced by a free one.
    Nothing is kept.
    """
    with stoppable():
        run(os.environ, broker_port=broker_port, api_port=api_port, once=once, console=Console(highlight=False))
