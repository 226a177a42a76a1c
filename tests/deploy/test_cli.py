"""The ``riverwatch`` command as a user meets it: help, exit codes, and processes that end as told."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from api.settings import ApiSettings
from deploy import errors
from deploy.api_client.settings import VARIABLE, ClientSettings
from deploy.cli import COMMANDS, riverwatch
from deploy.commands.detectors import COMMANDS as DETECTORS
from deploy.local_kafka.broker import free_port
from streams.settings import Settings as WorkerSettings
from tests.command_line import ENVIRONMENT, run


def all_commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield (*path, name)
        if isinstance(command, click.Group):
            yield from all_commands(command, (*path, name))


EVERY_COMMAND = list(all_commands(riverwatch))


def command_at(path: tuple[str, ...]) -> click.Command:
    found: click.Command = riverwatch
    for name in path:
        assert isinstance(found, click.Group)
        inner = found.get_command(click.Context(found), name)
        assert inner is not None
        found = inner
    return found


def test_the_commands_are_those_promised() -> None:
    assert {" ".join(path) for path in EVERY_COMMAND} == {
        *COMMANDS,
        "topics apply",
        *(f"detectors {name}" for name in DETECTORS),
    }


@pytest.mark.parametrize("path", EVERY_COMMAND, ids=" ".join)
def test_every_command_and_option_explains_itself(path: tuple[str, ...]) -> None:
    command = command_at(path)
    assert command.help
    options = [parameter for parameter in command.params if isinstance(parameter, click.Option)]
    assert all(option.help for option in options)
    text = command.get_help(click.Context(command, info_name="riverwatch " + " ".join(path)))
    assert all(option.opts[0] in text for option in options)


def test_the_help_names_every_exit_code() -> None:
    answer = run("--help")
    assert answer.returncode == 0
    documented = {int(code) for code in re.findall(r"^ +(\d+)  ", answer.stdout, re.MULTILINE)}
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and hasattr(kind, "exit_code")]
    assert documented == {0, 2, 75} | {kind.exit_code for kind in kinds}


def test_variables_named_in_the_help_are_settings() -> None:
    text = "\n".join(
        option.help or ""
        for path in EVERY_COMMAND
        for option in command_at(path).params
        if isinstance(option, click.Option)
    )
    known = {"RIVERWATCH_" + name.upper() for name in WorkerSettings.__dataclass_fields__} | {
        field.metadata["variable"] for field in ApiSettings.__dataclass_fields__.values()
    }
    known |= {VARIABLE + name.upper() for name in ClientSettings.__dataclass_fields__}
    named = set(re.findall(r"RIVERWATCH_[A-Z_]+", text))
    assert named
    assert named <= known


@pytest.mark.parametrize(
    ("arguments", "variables", "code", "said"),
    [
        (["nonsense"], {}, 2, "No such command"),
        (["topics", "apply", "--model-partitions", "0"], {}, 2, "model-partitions"),
        (["topics", "apply"], {"RIVERWATCH_REPLICATION": "many"}, 2, "RIVERWATCH_REPLICATION"),
        (["worker"], {"RIVERWATCH_MODEL_PARTITIONS": "x"}, 2, "RIVERWATCH_MODEL_PARTITIONS"),
        (["api"], {"RIVERWATCH_API_PORT": "x"}, 2, "RIVERWATCH_API_PORT"),
        (["broker", "--data", "/proc/nothing"], {}, 7, "--data"),
        (["broker", "--data", "{tmp}"], {"RIVERWATCH_JAVA": "/nothing"}, 4, "RIVERWATCH_JAVA"),
    ],
)
def test_each_error_is_one_message_and_an_exit_code(
    arguments: list[str], variables: dict[str, str], code: int, said: str, tmp_path: Path
) -> None:
    port = ["--port", str(free_port())] if arguments[0] == "broker" else []
    filled = [each.format(tmp=tmp_path) for each in arguments]
    answer = run(*filled, *port, environment={**ENVIRONMENT, **variables})
    assert answer.returncode == code
    assert said in answer.stderr
    assert "Traceback" not in answer.stderr
