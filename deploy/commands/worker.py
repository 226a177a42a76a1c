"""``riverwatch worker``: one worker in the foreground."""

from __future__ import annotations

import os

import click

from deploy.command_line.environment import kafka_options, overlay, read_settings
from deploy.supervision.signals import stoppable
from deploy.topics.preparation import prepare_topics
from streams.settings import Settings
from streams.worker import run


@click.command("worker")
@kafka_options
@click.option(
    "--apply-topics/--no-apply-topics",
    default=None,
    help="Create and repair the topics. [RIVERWATCH_APPLY_TOPICS]",
)
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    help="The lowest level to log. [RIVERWATCH_LOG_LEVEL]",
)
def command(brokers: str | None, prefix: str | None, apply_topics: bool | None, log_level: str | None) -> None:
    """Run one worker until Ctrl-C or SIGTERM. Start more of them to share the work.

    It waits for Kafka when that is down.
    """
    environment = overlay(os.environ, brokers=brokers, prefix=prefix, apply_topics=apply_topics, log_level=log_level)
    settings = read_settings(Settings, environment)
    with stoppable():
        prepare_topics(environment, click.echo)

        run(settings)
