"""Deadlines stand in one place, and no process that a test starts outlives it."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deadlines import REQUEST, eventually
from tests.pids import SLEEPER, is_alive, read_pid
from tests.processes import bound

TESTS = Path(__file__).parent
FILES = sorted(set(TESTS.rglob("*.py")) - set((TESTS / "bench").rglob("*.py")) - {TESTS / "deadlines.py"})

WAITS = {"wait", "result", "join", "flush", "communicate", "list_topics", "timeout", "wait_for"}
"""Calls whose number is how long they wait."""

OURS = {"consume", "consume_until", "read", "results", "tasks", "ended", "eventually", "wait_until_ready"}
"""Our own ones, which name it ``seconds``."""

SLICE = 0.5
"""Seconds: what is shorter is how long a loop sleeps between two looks."""


def numbers(call: ast.Call) -> Iterator[float]:
    """How long a call waits, where that is written as a number."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    given = [
        keyword.value
        for keyword in call.keywords
        if keyword.arg == "timeout" or (keyword.arg == "seconds" and name in WAITS | OURS)
    ]
    is_method = isinstance(call.func, ast.Attribute)
    for value in [*given, *(call.args if is_method and name in WAITS else ())]:
        if isinstance(value, ast.Constant) and isinstance(value.value, int | float):
            yield value.value


def calls(text: str) -> Iterator[ast.Call]:
    return (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call))


@pytest.mark.parametrize("text", ["p.wait(20)", "f(timeout=5)", "read('x', seconds=30.0)", "asyncio.timeout(60)"])
def test_a_deadline_of_a_tests_own_is_found(text: str) -> None:
    assert [number for call in calls(text) for number in numbers(call) if number > SLICE]


def test_no_test_has_a_deadline_of_its_own() -> None:
    found = [
        f"{file.relative_to(TESTS)}:{call.lineno} waits {number} s"
        for file in FILES
        for call in calls(file.read_text())
        for number in numbers(call)
        if number > SLICE
    ]
    assert found == [], "take the names of tests/deadlines.py"


def test_every_process_is_bound_to_the_test_run() -> None:
    free = [
        f"{file.relative_to(TESTS)}:{call.lineno}"
        for file in FILES
        for call in calls(file.read_text())
        if ast.unparse(call.func) in ("subprocess.Popen", "subprocess.run")
        and not ast.unparse(call.args[0]).startswith(("bound(", "command", "['chattr"))
    ]
    assert free == [], "start it as bound([...]) of tests/processes.py"


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's parent-death signal is Linux's")
def test_a_process_ends_with_the_test_run_that_is_killed(pid_file: Path) -> None:
    command = [sys.executable, "-c", SLEEPER.format(file=str(pid_file))]
    run = f"import subprocess\nfrom tests.processes import bound\nsubprocess.run(bound({command!r}))"
    running = subprocess.Popen(bound([sys.executable, "-c", run]), cwd=TESTS.parent)
    pid = read_pid(pid_file)
    running.kill()
    running.wait(REQUEST)
    eventually("it is gone", lambda: not is_alive(pid))


def test_the_process_is_the_command_itself() -> None:
    code = "import os; print(os.getpid(), os.getppid())"
    with subprocess.Popen(bound([sys.executable, "-c", code]), stdout=subprocess.PIPE, text=True) as process:
        assert process.communicate()[0].split() == [str(process.pid), str(os.getpid())]
