"""``riverwatch detectors``: create, start, stop and inspect detectors through the API."""

from __future__ import annotations

import importlib

import click

COMMANDS = {
    "list": "detectors_manage",
    "create": "detectors_create",
    "get": "detectors_manage",
    "delete": "detectors_manage",
    "start": "detectors_jobs",
    "stop": "detectors_jobs",
    "history": "detectors_history",
    "results": "detectors_results",
    "top": "detectors_results",
}
"""The module of each; there it is ``NAME_command``."""


class _Group(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"deploy.commands.{COMMANDS[cmd_name]}")
        found: click.Command = getattr(module, f"{cmd_name}_command")
        return found


@click.group("detectors", cls=_Group)
def command() -> None:
    """Work with detectors through the API, without writing JSON.

    \b
    riverwatch detectors create --topic metrics --time timestamp --by host --feature avg:cpu --interval 10s
    riverwatch detectors start metrics-avg_cpu

    A DETECTOR is given by its id or its name. --url is where the API listens. Credentials are --user, --api-key,
    --token or --certificate, or better their variables: other users of the machine can read flags. --json prints the
    API's documents. Exit codes are those of riverwatch --help; 10, 11 and 12 are about the API.
    """
