"""``riverwatch api``: the REST API in the foreground."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from api.http.server import run
from api.results.store_file import StoreUnusable
from api.settings import ApiSettings
from deploy.command_line.environment import data_folder, kafka_options, overlay, read_settings
from deploy.errors import DataFolderUnusable
from deploy.supervision.signals import stoppable
from deploy.topics.preparation import TopicsInBackground


@click.command("api")
@click.option("--host", help="Address to listen on. [RIVERWATCH_API_HOST; default: 127.0.0.1]")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on. [RIVERWATCH_API_PORT; default: 9200]")
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for the results store. [RIVERWATCH_DATA; default: the user's data folder]",
)
@kafka_options
@click.option(
    "--apply-topics/--no-apply-topics", default=None, help="Create and repair the topics. [RIVERWATCH_APPLY_TOPICS]"
)
def command(
    host: str | None,
    port: int | None,
    data: Path | None,
    brokers: str | None,
    prefix: str | None,
    apply_topics: bool | None,
) -> None:
    """Run the REST API until Ctrl-C or SIGTERM.

    It answers 503 while Kafka is down or its views are incomplete.
    """
    environment = overlay(
        os.environ,
        api_host=host,
        api_port=port,
        data=data_folder(data),
        brokers=brokers,
        prefix=prefix,
        apply_topics=apply_topics,
    )
    settings = read_settings(ApiSettings, environment)
    with stoppable():
        # In the background: without Kafka the API must answer 503, not be absent.
        topics = TopicsInBackground(environment, click.echo)
        topics.start()

        try:
            code = run(settings)
        except StoreUnusable as error:
            raise DataFolderUnusable(str(error)) from error
        topics.raise_error()
        sys.exit(code)
