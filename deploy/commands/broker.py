"""``riverwatch broker``: a local Kafka in the foreground."""

from __future__ import annotations

import time
from pathlib import Path

import click

from deploy.command_line.environment import data_folder
from deploy.local_kafka.broker import LocalBroker
from deploy.supervision.signals import stoppable


@click.command("broker")
@click.option("--port", type=click.IntRange(1, 65535), default=9092, show_default=True, help="Port to listen on.")
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for topics, in its subfolder kafka. [RIVERWATCH_DATA; default: the user's data folder]",
)
def command(port: int, data: Path | None) -> None:
    """Run a local Kafka (4.3, KRaft, one node) until Ctrl-C or SIGTERM.

    It listens on 127.0.0.1 only, without security: for development and small set-ups. The first start fetches
    Kafka's jars (45 MB) into the user's cache folder; later ones need no network. Java comes with Riverwatch;
    RIVERWATCH_JAVA names another one (17 or newer).
    """
    broker = LocalBroker(port, data_folder(data) / "kafka", report=click.echo)
    with stoppable(), broker:
        click.echo(f"broker ready on {broker.bootstrap} (topics in {broker.data_dir}, log in {broker.log_file})")
        while True:
            broker.check()
            time.sleep(0.2)
    click.echo("broker stopped")
