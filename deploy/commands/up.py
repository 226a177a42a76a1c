"""``riverwatch up``: everything on this machine, supervised."""

from __future__ import annotations

import os
from pathlib import Path

import click

from deploy.command_line.environment import data_folder, overlay
from deploy.supervision.signals import stoppable
from deploy.supervision.stack import Stack


@click.command("up")
@click.option("--workers", type=click.IntRange(1), default=1, show_default=True, help="Number of workers.")
@click.option("--broker-port", type=click.IntRange(1, 65535), default=9092, show_default=True, help="Port of Kafka.")
@click.option(
    "--api-port",
    type=click.IntRange(1, 65535),
    help="Port of the API. [RIVERWATCH_API_PORT; default: 9200]",
)
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for Kafka's topics and the API's store. [RIVERWATCH_DATA; default: the user's data folder]",
)
@click.option("--brokers", help="Use this Kafka and start none. [RIVERWATCH_BROKERS]")
@click.option("--prefix", help="In front of the names of Riverwatch's topics. [RIVERWATCH_PREFIX]")
def command(
    workers: int,
    broker_port: int,
    api_port: int | None,
    data: Path | None,
    brokers: str | None,
    prefix: str | None,
) -> None:
    """Run Kafka, the topics, workers and the API until Ctrl-C or SIGTERM.

    A part that dies is reported and restarted, after a growing pause. At the end the API stops first, then the
    workers, then Kafka; nothing is left behind, even if this process is killed.
    """
    environment = overlay(
        os.environ, api_port=api_port, data=data_folder(data).absolute(), brokers=brokers, prefix=prefix
    )
    stack = Stack(environment, workers=workers, broker_port=broker_port, report=click.echo, detail=click.echo)
    with stoppable(), stack:
        click.echo(f"up ready: API on {stack.api_url}, Kafka on {stack.settings.brokers}")
        stack.watch()
    click.echo("up stopped")
