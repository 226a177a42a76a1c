"""What runs under ``up``: restarted when it dies, stopped in order, nothing left behind."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.errors import BrokerFailed
from deploy.supervision.child import Child
from deploy.supervision.supervisor import LONGEST_PAUSE, Supervisor, pause_before_restart
from tests.deadlines import eventually
from tests.pids import is_alive

WORKER = """
import os, signal, sys, time
def stop(*_):
    print("bye")
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
print("not ready yet")
print(f"worker ready as {os.getpid()}")
time.sleep(600)
"""


class Recorder:
    """Keeps the lines that were said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def report(self, line: str) -> None:
        self.lines.append(line)

    def pids(self, name: str) -> list[int]:
        return [int(line.split()[-1]) for line in self.lines if line.startswith(f"{name} | worker ready as")]


class Fragile:
    """A service that dies as often as told; ``refuses`` says how many of its starts fail."""

    def __init__(self, name: str, log: list[str], refuses: int = 0) -> None:
        self.name = name
        self.log = log
        self.refuses = refuses
        self.running = False

    def start(self) -> None:
        if self.refuses:
            self.refuses -= 1
            raise BrokerFailed("no luck")
        self.log.append(f"start {self.name}")
        self.running = True

    def is_ready(self) -> bool:
        return self.running

    def ended(self) -> str | None:
        return None if self.running else "fell over"

    def stop(self) -> None:
        self.log.append(f"stop {self.name}")
        self.running = False


def child(name: str, recorder: Recorder, code: str = WORKER) -> Child:
    return Child(name, [sys.executable, "-c", code], os.environ, ready="worker ready", report=recorder.report)


def watch(supervisor: Supervisor, until: Callable[[], bool]) -> None:
    looks = iter(range(200))
    supervisor.watch(lambda: until() or next(looks, None) is None)
    assert until()


def test_a_killed_child_is_reported_and_started_again() -> None:
    recorder = Recorder()
    supervisor = Supervisor([child("w1", recorder), child("w2", recorder)], recorder.report)
    supervisor.start()
    try:
        watch(supervisor, supervisor.all_ready)
        (first,) = recorder.pids("w1")
        os.kill(first, signal.SIGKILL)
        watch(supervisor, lambda: len(recorder.pids("w1")) == 2)
        assert "w1 was killed by signal 9; starting it again in 0.5 s" in recorder.lines
        assert len(recorder.pids("w2")) == 1
    finally:
        supervisor.stop()
    assert not any(is_alive(pid) for pid in recorder.pids("w1") + recorder.pids("w2"))
    assert {"w1 | bye", "w2 | bye"} <= set(recorder.lines)


def test_only_the_commands_own_word_makes_it_ready() -> None:
    recorder = Recorder()
    one = child("w1", recorder, "import time; print('not ready'); time.sleep(600)")
    one.start()
    try:
        eventually("it has spoken", lambda: recorder.lines)
        assert not one.is_ready()
    finally:
        one.stop()


def test_the_exit_code_is_told() -> None:
    recorder = Recorder()
    one = child("w1", recorder, "import sys; sys.exit(3)")
    one.start()
    eventually("it has ended", one.ended)
    assert one.ended() == "ended with exit code 3"
    one.stop()


def test_services_are_stopped_in_reverse_order() -> None:
    log: list[str] = []
    supervisor = Supervisor([Fragile(name, log) for name in ("broker", "worker", "api")], log.append)
    supervisor.start()
    supervisor.stop()
    assert log == ["start broker", "start worker", "start api", "stop api", "stop worker", "stop broker"]


def test_a_first_start_that_fails_stops_what_runs_already() -> None:
    log: list[str] = []
    supervisor = Supervisor([Fragile("broker", log), Fragile("api", log, refuses=1)], log.append)
    with pytest.raises(BrokerFailed):
        supervisor.start()
    assert log[-1] == "stop broker"


def test_a_restart_that_fails_is_tried_again() -> None:
    log: list[str] = []
    broker = Fragile("broker", log)
    supervisor = Supervisor([broker], log.append)
    supervisor.start()
    broker.running, broker.refuses = False, 1
    watch(supervisor, lambda: log.count("start broker") == 2)
    assert "broker cannot start: no luck; starting it again in 1 s" in log


@given(st.integers(1, 1000))
def test_pauses_grow_and_stay_bounded(deaths: int) -> None:
    assert 0 < pause_before_restart(deaths) <= pause_before_restart(deaths + 1) <= LONGEST_PAUSE


def test_children_end_with_a_killed_supervisor(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    inner = f"import os, time; open({str(note)!r}, 'w').write(str(os.getpid())); time.sleep(600)"
    outer = (
        "import os, sys, time\nfrom deploy.supervision.child import Child\n"
        f"Child('w', [sys.executable, '-c', {inner!r}], os.environ, ready='', report=print).start()\ntime.sleep(600)"
    )
    supervisor = child("up", Recorder(), outer)
    supervisor.start()
    eventually("the grandchild runs", lambda: note.exists() and note.read_text() != "")
    pid = int(note.read_text())
    parent = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    grandparent = int(Path(f"/proc/{parent}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(grandparent, signal.SIGKILL)
    eventually("the grandchild is gone", lambda: not is_alive(pid))
    supervisor.stop()
