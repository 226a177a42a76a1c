"""The containers, as far as they can be checked without a container engine."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

import deploy
from api.settings import ApiSettings
from deploy.cli import riverwatch
from deploy.local_kafka.broker import server_properties
from deploy.local_kafka.jars import PINS, parse_pins
from streams.settings import Settings as WorkerSettings

PROJECT = Path(deploy.__file__).parent.parent
FOLDER = PROJECT / "deploy" / "containers"
COMPOSE: dict[str, Any] = yaml.safe_load((FOLDER / "compose.yaml").read_text())
DOCKERFILE = (FOLDER / "Dockerfile").read_text()
SETTINGS = {"RIVERWATCH_" + name.upper() for name in WorkerSettings.__dataclass_fields__} | {
    field.metadata["variable"] for field in ApiSettings.__dataclass_fields__.values()
}
OURS = sorted(name for name, service in COMPOSE["services"].items() if service["image"] == "riverwatch")


def local_kafka() -> dict[str, str]:
    lines = server_properties(9092, 9093, Path("/var/lib/kafka/data"), {}).splitlines()
    return dict(line.split("=", 1) for line in lines)


def test_the_services_are_kafka_workers_and_the_api() -> None:
    assert OURS == ["api", "worker"]
    assert set(COMPOSE["services"]) == {"kafka", *OURS}
    assert set(COMPOSE["volumes"]) == {"kafka", "api"}


@pytest.mark.parametrize("name", OURS)
def test_each_command_is_one_that_riverwatch_takes(name: str) -> None:
    command, *arguments = COMPOSE["services"][name]["command"]
    found = riverwatch.get_command(click.Context(riverwatch), command)
    assert found is not None
    found.make_context(command, arguments)


@pytest.mark.parametrize("name", OURS)
def test_each_variable_is_a_setting(name: str) -> None:
    assert set(COMPOSE["services"][name]["environment"]) <= SETTINGS


@pytest.mark.parametrize("name", OURS)
def test_each_waits_for_kafka_and_is_given_time_to_stop(name: str) -> None:
    service = COMPOSE["services"][name]
    assert service["depends_on"] == {"kafka": {"condition": "service_healthy"}}
    assert service["stop_grace_period"] == "30s"
    assert (FOLDER / service["build"]["context"] / service["build"]["dockerfile"]).resolve() == FOLDER / "Dockerfile"


def test_kafka_is_the_version_and_set_up_as_the_local_one() -> None:
    kafka = COMPOSE["services"]["kafka"]
    versions = {jar.artifact: jar.version for jar in parse_pins(PINS.read_text())}
    assert kafka["image"] == "apache/kafka:" + versions["kafka-clients"]
    properties = {
        name.removeprefix("KAFKA_").lower().replace("_", "."): str(value)
        for name, value in kafka["environment"].items()
    }
    assert properties.items() <= local_kafka().items()


def test_nothing_listens_to_others() -> None:
    text = json.dumps(COMPOSE)
    assert "0.0.0.0" not in text
    assert "ports" not in text
    assert "127.0.0.1" in COMPOSE["services"]["api"]["command"]


def test_the_image_copies_what_exists_and_lets_it_through() -> None:
    lines = re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE)
    copied = [source for line in lines for source in line.split()[:-1]]
    allowed = (FOLDER / "Dockerfile.dockerignore").read_text().splitlines()
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())
    packages = {each.rstrip("*") for each in project["tool"]["setuptools"]["packages"]["find"]["include"]}
    assert packages | {"pyproject.toml", "requirements.lock"} <= set(copied)
    for source in copied:
        assert f"!{source.partition('/')[0]}" in allowed
        assert (PROJECT / source).exists() or source == "README.md"


def test_the_image_runs_riverwatch_not_as_root() -> None:
    assert 'ENTRYPOINT ["riverwatch"]' in DOCKERFILE
    assert re.search(r"^USER (?!root)", DOCKERFILE, re.MULTILINE)
    named = set(re.findall(r"RIVERWATCH_[A-Z_]+", DOCKERFILE))
    assert named == {"RIVERWATCH_DATA"}
    assert named <= SETTINGS
