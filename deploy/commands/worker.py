"""``riverwatch worker``: one worker in the foreground."""

from __future__ import annotations

import os

import click

from deploy.environment import kafka_options, overlay, read_settings
from deploy.signals import stoppable


@click.command("worker")
@kafka_options
@click.option(
    "--apply-topics/--no-apply-topics", default=None, help="See to the topics first. [RIVERWATCH_APPLY_TOPICS]"
)
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    help="How much it tells. [RIVERWATCH_LOG_LEVEL]",
)
def command(brokers: str | None, prefix: str | None, apply_topics: bool | None, log_level: str | None) -> None:
    """Run one worker until Ctrl-C or SIGTERM. Start more of them to share the work.

    Waits for Kafka when it is down.
    """
    from deploy.preparation import prepare_topics
    from streams.settings import Settings

    environment = overlay(os.environ, brokers=brokers, prefix=prefix, apply_topics=apply_topics, log_level=log_level)
    settings = read_settings(Settings, environment)
    with stoppable():
        prepare_topics(environment, click.echo)

        from streams.worker import run

        run(settings)
