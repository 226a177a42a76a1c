"""``riverwatch detectors start|stop|history``."""

from __future__ import annotations

from collections.abc import Sequence

import click

from deploy.client_settings import ClientSettings, api_options
from deploy.commands.history import watch


@click.command("start")
@click.argument("detectors", nargs=-1, required=True, metavar="DETECTOR...")
@click.option(
    "--from",
    "begin",
    type=click.Choice(["now", "earliest"]),
    default="now",
    show_default=True,
    help="Records that arrive from now on, or all that the topics hold, too.",
)
@api_options
def start_command(detectors: Sequence[str], begin: str, client: ClientSettings) -> None:
    """Start real-time detection of each DETECTOR (ids or names)."""
    from deploy.detectors_api import DetectorsApi

    with DetectorsApi(client) as api:
        for detector in detectors:
            api.start(api.find(detector), begin)
            click.echo(f"started {detector}")


@click.command("stop")
@click.argument("detectors", nargs=-1, required=True, metavar="DETECTOR...")
@click.option("--history", "historical", is_flag=True, help="The running historical analysis instead.")
@api_options
def stop_command(detectors: Sequence[str], historical: bool, client: ClientSettings) -> None:
    """Stop real-time detection of each DETECTOR (ids or names). Models are kept."""
    from deploy.detectors_api import DetectorsApi

    with DetectorsApi(client) as api:
        for detector in detectors:
            api.stop(api.find(detector), historical=historical)
            click.echo(f"stopped {detector}")


@click.command("history")
@click.argument("detector")
@click.option("--from", "begin", required=True, metavar="TIME", help="Epoch ms, ISO 8601 (UTC), now, or -6h.")
@click.option("--to", "end", default="now", show_default=True, metavar="TIME", help="The same; not included.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, about two a second.")
@api_options
def history_command(detector: str, begin: str, end: str, as_json: bool, client: ClientSettings) -> None:
    """Analyse the records between two times for DETECTOR (an id or a name) and show how it goes.

    As riverwatch history, which needs Kafka instead of the API and knows how many records were read.
    """
    from deploy.detectors_api import DetectorsApi
    from deploy.detectors_history import ApiAnalyses

    watch(lambda: ApiAnalyses(DetectorsApi(client)), detector, begin, end, as_json=as_json)
