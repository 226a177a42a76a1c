"""The ``riverwatch`` command."""

from __future__ import annotations

import importlib
import sys
from importlib.metadata import version

import click

from schemas.errors import RiverwatchError

COMMANDS = {
    "up": "Run everything on this machine: Kafka, topics, workers and the API.",
    "demo": "Run everything on real metrics and print anomalies as they are found.",
    "worker": "Run one worker.",
    "api": "Run the REST API.",
    "broker": "Run a local Kafka.",
    "topics": "Create and repair Riverwatch's topics.",
    "tail": "Follow results or anomalies.",
    "deadletters": "Show the records that could not be used, and why.",
    "detectors": "Create, start, stop and inspect detectors through the API.",
    "detect": "Find anomalies in a file, without Kafka.",
}
"""By name; each is ``command`` in ``deploy/commands/NAME.py``."""


class LazyGroup(click.Group):
    """Imports a subcommand when it is called: ``riverwatch --help`` must not load NumPy and Faust."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, in the order of the help page."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"deploy.commands.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The commands with a line each, from the table above."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="""\b
Exit codes:
  0  done, or stopped by Ctrl-C or SIGTERM
  1  failed; the message has the reason
  2  wrong usage or setting
  3  Kafka does not answer
  4  no Java 17 or newer
  5  Kafka's jars are neither cached nor available
  6  port taken
  7  data folder is not writable or is in use
  8  Kafka did not start, or died
  9  topics have a number of partitions that cannot be used
 10  the API does not answer, or is not ready
 11  the API requires other credentials, or more permissions
 12  there is no such detector or topic
 75  a worker failed in a way that a restart mends (with RIVERWATCH_RESTART=false)""",
)
@click.version_option(version("riverwatch"), prog_name="riverwatch")
def riverwatch() -> None:
    """Anomaly detection on Apache Kafka, with the OpenSearch Anomaly Detection API.

    Every setting is an environment variable RIVERWATCH_...; the most used ones are flags as well, and flags win.
    RIVERWATCH_BROKERS names an existing Kafka; its security settings are passed through as
    RIVERWATCH_KAFKA_SECURITY_PROTOCOL (security.protocol) and so on.
    """


def main() -> None:
    """Entry point: runs the command and turns errors into one message and an exit code."""
    try:
        riverwatch.main(standalone_mode=False)
    except click.exceptions.Exit as ended:
        sys.exit(ended.exit_code)
    except click.ClickException as wrong:
        wrong.show()
        sys.exit(wrong.exit_code)
    except click.Abort:
        sys.exit(130)
    except RiverwatchError as error:
        click.echo(f"riverwatch: {error}", err=True)
        sys.exit(getattr(error, "exit_code", 2))


if __name__ == "__main__":
    main()
