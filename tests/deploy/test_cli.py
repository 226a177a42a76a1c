"""The ``riverwatch`` command as a user meets it: help, exit codes, and processes that end as told."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import click
import pytest

from deploy import errors
from deploy.broker import free_port, port_is_free
from deploy.cli import COMMANDS, riverwatch
from deploy.commands.detectors import COMMANDS as DETECTORS
from schemas.result import Result, encode_result
from schemas.task import EntityValue
from schemas.topics import TOPICS
from tests.conftest import Broker, TopicUnderTest
from tests.deadlines import EVENT, REQUEST, eventually
from tests.processes import bound

PROGRAM = [sys.executable, "-m", "deploy.cli"]
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("RIVERWATCH_")}


def run(*arguments: str, environment: Mapping[str, str] = ENVIRONMENT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        bound([*PROGRAM, *arguments]), capture_output=True, text=True, timeout=EVENT, env=environment, check=False
    )


@contextmanager
def running(*arguments: str, environment: Mapping[str, str] = ENVIRONMENT) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        bound([*PROGRAM, *arguments]), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    ) as process:
        try:
            yield process
        finally:
            process.kill()


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
    from api.settings import Settings as ApiSettings
    from deploy.client_settings import VARIABLE, ClientSettings
    from streams.settings import Settings as WorkerSettings

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


def test_a_taken_port_is_exit_code_6(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        answer = run("broker", "--port", str(other.getsockname()[1]), "--data", str(tmp_path))
    assert answer.returncode == 6
    assert "is taken" in answer.stderr


def test_topics_apply_shows_then_does_then_has_nothing_to_do(broker: Broker, topic_prefix: str) -> None:
    flags = ("topics", "apply", "--brokers", broker.bootstrap, "--prefix", topic_prefix, "--model-partitions", "2")
    shown = run(*flags, "--dry-run")
    assert shown.stdout.count("would create") == len(TOPICS)
    done = run(*flags)
    assert done.stdout.count("create ") == len(TOPICS)
    assert run(*flags).stdout == "topics ready: nothing to do\n"
    refused = run(*flags[:-1], "3")
    assert refused.returncode == 9
    assert "RIVERWATCH_MODEL_PARTITIONS=2" in refused.stderr


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_the_broker_says_when_it_is_ready_and_stops_cleanly(how: signal.Signals, tmp_path: Path) -> None:
    port = free_port()
    with running("broker", "--port", str(port), "--data", str(tmp_path)) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith(f"broker ready on 127.0.0.1:{port} ")
        process.send_signal(how)
        assert process.stdout.read() == "broker stopped\n"
        assert process.wait(REQUEST) == 0
    assert port_is_free(port)
    assert (tmp_path / "kafka" / "log" / "meta.properties").exists()


def sample(number: int, detector: str, grade: float) -> Result:
    return Result(
        id=f"{detector}|host-1|{number}",
        detector_id=detector,
        data_start_time=0,
        data_end_time=60_000 * number,
        anomaly_grade=grade,
        confidence=0.9,
        entity=[EntityValue("host", "host-1")],
    )


def test_tail_prints_readable_lines_or_the_documents_themselves(
    broker: Broker, topic_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    flags = ("--brokers", broker.bootstrap, "--prefix", topic_prefix)
    assert run("topics", "apply", "--model-partitions", "1", *flags).returncode == 0
    topic = TopicUnderTest(broker.bootstrap, topic_prefix + "anomalies", 1)
    first, other, last = sample(1, "d1", 0.25), sample(2, "d2", 0.5), sample(3, "d1", 0.75)
    topic.produce_all([(b"k", b"garbage"), *((b"k", encode_result(each)) for each in (first, other))])

    tail = ("tail", "anomalies", "--from-beginning", "--detector", "d1", *flags)
    for extra, expected in [
        ((), ["1970-01-01 00:01:00  d1  host=host-1  -  grade 0.25 confidence 0.90\n"]),
        (("--json",), [encode_result(first).decode() + "\n"]),
    ]:
        with running(*tail, *extra) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == f"tail ready on {topic_prefix}anomalies\n"
            assert [process.stdout.readline()] == expected
            process.terminate()
            assert process.wait(REQUEST) == 0

    with running("tail", "anomalies", "--json", *flags) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("tail ready")
        topic.produce(b"k", encode_result(last))
        assert process.stdout.readline() == encode_result(last).decode() + "\n"


def test_tail_without_topics_or_kafka_says_what_to_do(broker: Broker, topic_prefix: str) -> None:
    answer = run("tail", "results", "--brokers", broker.bootstrap, "--prefix", topic_prefix)
    assert answer.returncode == 1
    assert "topics apply" in answer.stderr


def test_a_worker_without_kafka_waits_and_says_so() -> None:
    with running("worker", "--brokers", f"127.0.0.1:{free_port()}") as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("waiting for Kafka: Kafka does not answer")
        process.terminate()
        assert process.wait(REQUEST) == 0
    eventually("it has ended", lambda: process.poll() is not None)
