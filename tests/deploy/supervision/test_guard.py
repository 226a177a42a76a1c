"""The guard: its command ends with its parent, whichever way that goes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.supervision import guard
from tests.deadlines import REQUEST, eventually
from tests.pids import SLEEPER, is_alive, read_pid
from tests.processes import bound

STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + SLEEPER
PARENT = """
import os, subprocess, sys, threading, time
def start():
    subprocess.Popen([sys.executable, {guard!r}, str(os.getpid()), "5", sys.executable, "-c", {code!r}],
                     start_new_session=True)
# Started by a thread that ends at once: what counts is the life of the process.
thread = threading.Thread(target=start); thread.start(); thread.join()
time.sleep(600)
"""


def start_guard(code: str, grace: float = 5.0) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        bound([sys.executable, guard.__file__, os.getpid(), grace, sys.executable, "-c", code]),
        start_new_session=True,
    )


def test_the_exit_code_is_the_commands() -> None:
    assert start_guard("import sys; sys.exit(7)").wait(REQUEST) == 7


def test_a_signal_is_told_as_shells_do() -> None:
    assert start_guard("import os; os.kill(os.getpid(), 9)").wait(REQUEST) == 128 + 9


def test_sigterm_reaches_the_command(pid_file: Path) -> None:
    running = start_guard(SLEEPER.format(file=str(pid_file)))
    pid = read_pid(pid_file)
    running.terminate()
    assert running.wait(REQUEST) == 128 + signal.SIGTERM
    assert not is_alive(pid)


def test_a_command_that_ignores_sigterm_is_killed_after_the_grace(pid_file: Path) -> None:
    running = start_guard(STUBBORN.format(file=str(pid_file)), grace=0.3)
    pid = read_pid(pid_file)
    running.terminate()
    assert running.wait(REQUEST) == 128 + signal.SIGKILL
    assert not is_alive(pid)


def test_the_command_ends_when_the_parent_is_killed(pid_file: Path) -> None:
    code = SLEEPER.format(file=str(pid_file))
    parent = subprocess.Popen(bound([sys.executable, "-c", PARENT.format(guard=guard.__file__, code=code)]))
    pid = read_pid(pid_file)
    assert is_alive(pid)
    parent.kill()
    parent.wait(REQUEST)
    eventually("the command is gone", lambda: not is_alive(pid))


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's own parent-death signal is Linux's")
def test_the_command_ends_when_the_guard_itself_is_killed(pid_file: Path) -> None:
    running = start_guard(SLEEPER.format(file=str(pid_file)))
    pid = read_pid(pid_file)
    running.kill()
    running.wait(REQUEST)
    eventually("the command is gone", lambda: not is_alive(pid))
