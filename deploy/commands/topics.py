"""``riverwatch topics``: Riverwatch's own topics."""

from __future__ import annotations

import os

import click

from deploy.command_line.environment import kafka_options, overlay, read_settings
from deploy.topics.apply import apply
from streams.settings import Settings


@click.group("topics")
def command() -> None:
    """Create and repair Riverwatch's topics."""


@command.command("apply")
@click.option("--dry-run", is_flag=True, help="Only show what would be done.")
@click.option(
    "--model-partitions",
    type=click.IntRange(1),
    help="Partitions that models are spread over; fixed once topics exist. [RIVERWATCH_MODEL_PARTITIONS]",
)
@click.option(
    "--replication",
    type=click.IntRange(1),
    help="Replication factor of topics that are created. [RIVERWATCH_REPLICATION; default: the cluster's own]",
)
@kafka_options
def apply_topics(
    dry_run: bool, model_partitions: int | None, replication: int | None, brokers: str | None, prefix: str | None
) -> None:
    """Create missing topics and repair differing configurations.

    Nothing is done at all when a topic has a number of partitions that cannot be used (exit code 9).
    """
    environment = overlay(
        os.environ, brokers=brokers, prefix=prefix, model_partitions=model_partitions, replication=replication
    )
    settings = read_settings(Settings, environment)
    changes = apply(
        settings.client(),
        prefix=settings.prefix,
        model_partitions=settings.model_partitions,
        replication=settings.replication,
        dry_run=dry_run,
    )
    for change in changes:
        click.echo(f"would {change}" if dry_run else str(change))
    done = "to do" if dry_run else "done"
    click.echo(f"topics ready: {len(changes)} changes {done}" if changes else "topics ready: nothing to do")
