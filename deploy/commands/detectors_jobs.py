"""``riverwatch detectors start|stop``."""

from __future__ import annotations

from collections.abc import Sequence

import click

from deploy.api_client.detectors import DetectorsApi
from deploy.api_client.settings import ClientSettings, api_options


@click.command("start")
@click.argument("detectors", nargs=-1, required=True, metavar="DETECTOR...")
@click.option(
    "--from",
    "begin",
    type=click.Choice(["now", "earliest"]),
    default="now",
    show_default=True,
    help="Read records that arrive from now on, or all that the topics hold.",
)
@api_options
def start_command(detectors: Sequence[str], begin: str, client: ClientSettings) -> None:
    """Start real-time detection of each DETECTOR (ids or names)."""
    with DetectorsApi(client) as api:
        for detector in detectors:
            api.start(api.find(detector), begin)
            click.echo(f"started {detector}")


@click.command("stop")
@click.argument("detectors", nargs=-1, required=True, metavar="DETECTOR...")
@click.option("--history", "historical", is_flag=True, help="Stop the running historical analysis instead.")
@api_options
def stop_command(detectors: Sequence[str], historical: bool, client: ClientSettings) -> None:
    """Stop real-time detection of each DETECTOR (ids or names). Models are kept."""
    with DetectorsApi(client) as api:
        for detector in detectors:
            api.stop(api.find(detector), historical=historical)
            click.echo(f"stopped {detector}")
