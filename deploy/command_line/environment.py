"""Flags and environment variables: a flag sets the variable of the same name."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, TypeVar

import click

from schemas.errors import RiverwatchError

_S = TypeVar("_S", covariant=True)
_F = TypeVar("_F", bound=Callable[..., Any])


def kafka_options(command: _F) -> _F:
    """Add ``--brokers`` and ``--prefix``."""
    command = click.option("--prefix", help="In front of the names of Riverwatch's topics. [RIVERWATCH_PREFIX]")(
        command
    )
    return click.option("--brokers", help="Kafka's bootstrap servers, comma separated. [RIVERWATCH_BROKERS]")(command)


def feature_options(command: _F) -> _F:
    """Add ``--feature``, as ``features``, and ``--by``."""
    command = click.option(
        "--by", multiple=True, metavar="FIELD", help="One model for each value of the field; repeatable."
    )(command)
    return click.option(
        "--feature",
        "features",
        required=True,
        multiple=True,
        metavar="[NAME=]KIND:FIELD",
        help="Quantity to watch: avg, sum, min, max, count, distinct or p95 of a field; repeatable.",
    )(command)


def overlay(environment: Mapping[str, str], **flags: object) -> dict[str, str]:
    """The environment with each flag that is not None as the variable ``RIVERWATCH_`` plus its name.

    >>> overlay({"RIVERWATCH_PREFIX": "a."}, prefix="b.", brokers=None)
    {'RIVERWATCH_PREFIX': 'b.'}
    """
    given = {"RIVERWATCH_" + name.upper(): str(value) for name, value in flags.items() if value is not None}
    return {**environment, **given}


class _FromEnvironment(Protocol[_S]):
    @classmethod
    def from_environment(cls, environment: Mapping[str, str], /) -> _S: ...


def read_settings(kind: type[_FromEnvironment[_S]], environment: Mapping[str, str]) -> _S:
    """The settings of a worker or the API. Raises ``click.UsageError`` (exit code 2) for an invalid value."""
    try:
        return kind.from_environment(environment)
    except (ValueError, RiverwatchError) as error:
        raise click.UsageError(str(error)) from error


def data_folder(given: Path | None) -> Path:
    """The folder for persistent data: ``--data``, else ``RIVERWATCH_DATA``, else the user's data folder."""
    if given is not None:
        return given
    if os.environ.get("RIVERWATCH_DATA"):
        return Path(os.environ["RIVERWATCH_DATA"]).expanduser()
    base = os.environ.get("XDG_DATA_HOME")
    return (Path(base) if base else Path.home() / ".local" / "share") / "riverwatch"
