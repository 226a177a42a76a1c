"""``riverwatch detectors history``: an analysis is started, watched to its end, and stopped on Ctrl-C."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster import ApiProcess, Cluster, document
from tests.conftest import Broker, TopicUnderTest
from tests.deadlines import EVENT, REQUEST
from tests.processes import bound
from tests.streams.scan.conftest import START, ended, interleaved

NewTopic = Callable[..., TopicUnderTest]


@pytest.fixture(scope="module")
def cluster(broker: Broker) -> Iterator[Cluster]:
    """A worker whose analyses are slow: records are taken in one by one."""
    with Cluster(broker.bootstrap, "history-command.", statistics_interval=0.2, scan_slice=1) as running:
        running.start_worker()
        yield running


@pytest.fixture(scope="module")
def api(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> ApiProcess:
    """An API without logins."""
    return cluster.start_api(tmp_path_factory.mktemp("api"))


def history(api: ApiProcess, *arguments: str, **options: Any) -> subprocess.Popen[str]:
    """The command as a process."""
    return subprocess.Popen(
        bound([sys.executable, "-m", "deploy.cli", "detectors", "history", *arguments]),
        env={**os.environ, "RIVERWATCH_CLIENT_URL": api.url},
        cwd=Path(__file__).parents[3],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def test_an_analysis_is_watched_to_its_end(
    cluster: Cluster, api: ApiProcess, new_topic: NewTopic, topic_prefix: str
) -> None:
    topic = new_topic(topic_prefix + "m")
    cluster.produce(topic.name, interleaved(range(100), "ab"))
    by_name = document("my-detector", topic.name)
    assert cluster.command("detector.put", "by-id", detector=by_name)["error"] is None
    process = history(api, "my-detector", "--from", str(START), "--to", "2023-11-14T22:15:00Z", "--json")
    out, err = process.communicate(timeout=EVENT)
    assert process.returncode == 0, err
    last = json.loads(out.splitlines()[-1])
    assert (last["state"], last["progress"], last["seconds_left"]) == ("FINISHED", 1.0, None)
    assert (last["windows"], last["entities"], last["anomalies"]) == (60, 2, 0)
    process = history(api, "by-id", "--from", str(START))
    out, err = process.communicate(timeout=EVENT)
    assert process.returncode == 0, err
    assert "2 entities, 99 windows, 0 anomalies" in out


def test_what_cannot_be_is_said_in_one_line(
    cluster: Cluster, api: ApiProcess, new_topic: NewTopic, topic_prefix: str
) -> None:
    topic = new_topic(topic_prefix + "m")
    cluster.produce(topic.name, interleaved(range(10), "a"))
    cluster.create(topic.name, detector_id="short")
    for arguments, code, said in (
        (("nobody", "--from", "-1h"), 12, "there is no detector with the id or name nobody"),
        (("short", "--from", "now", "--to", "-1h"), 1, "end time must be after start time"),
        (("short", "--from", "soon"), 2, "use epoch ms"),
        (("short", "--from", str(START)), 1, "not enough data to train model"),
    ):
        process = history(api, *arguments)
        out, err = process.communicate(timeout=EVENT)
        assert process.returncode == code, err
        assert said in out + err


@pytest.mark.parametrize(("answer", "state"), [("y", "STOPPED"), ("n", "FINISHED")])
def test_an_interrupt_asks_whether_to_stop(
    cluster: Cluster, api: ApiProcess, new_topic: NewTopic, topic_prefix: str, answer: str, state: str
) -> None:
    topic = new_topic(topic_prefix + "m")
    cluster.produce(topic.name, interleaved(range(20_000 if answer == "y" else 3_000), "a"))
    detector = cluster.create(topic.name)
    keyboard, terminal = pty.openpty()
    try:
        process = history(api, detector, "--from", str(START), "--json", stdin=terminal)
        assert process.stdout is not None
        assert process.stdout.readline()  # from now on it takes an interrupt for a question
        process.send_signal(signal.SIGINT)
        os.write(keyboard, f"{answer}\n".encode())
        out, err = process.communicate(timeout=EVENT)
        assert process.returncode == 0, err
        task = (out + err).split("task ")[1].split()[0]
        assert ended(cluster, task)["state"] == state
    finally:
        os.close(keyboard)
        os.close(terminal)


class Terminal:
    """The command on a terminal of its own, of ``columns`` characters."""

    def __init__(self, api: ApiProcess, columns: int, *arguments: str) -> None:
        self._keyboard, terminal = pty.openpty()
        termios.tcsetwinsize(terminal, (24, columns))
        # A new session: Ctrl-C must reach the command as it does from a keyboard.
        begin = "import os, sys; os.login_tty(0); os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
        self.process = subprocess.Popen(
            bound([sys.executable, "-c", begin, "-m", "deploy.cli", "detectors", "history", *arguments]),
            env={**os.environ, "RIVERWATCH_CLIENT_URL": api.url, "TERM": "xterm", "COLUMNS": str(columns)},
            cwd=Path(__file__).parents[3],
            stdin=terminal,
        )
        os.close(terminal)
        self.shown = ""

    def wait_for(self, pattern: str, seconds: float = EVENT) -> re.Match[str]:
        """The first match in what has been shown since the last one."""
        deadline = time.monotonic() + seconds
        while (found := re.search(pattern, self.shown)) is None:
            assert time.monotonic() < deadline, self.shown
            if select.select([self._keyboard], [], [], 0.2)[0]:
                try:
                    read = os.read(self._keyboard, 65_536)
                except OSError:  # so Linux says that nobody has the terminal open any more
                    raise AssertionError(self.shown) from None
                self.shown += re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", read.decode())
        self.shown = self.shown[found.end() :]
        return found

    def type(self, text: str) -> None:
        """Press keys."""
        os.write(self._keyboard, text.encode())

    def close(self) -> int:
        """The exit code."""
        try:
            return self.process.wait(REQUEST)
        finally:
            os.close(self._keyboard)


def test_a_terminal_shows_a_bar_and_takes_ctrl_c(
    cluster: Cluster, api: ApiProcess, new_topic: NewTopic, topic_prefix: str
) -> None:
    topic = new_topic(topic_prefix + "m")
    cluster.produce(topic.name, interleaved(range(20_000), "a"))
    detector = cluster.create(topic.name)
    terminal = Terminal(api, 80, detector, "--from", str(START))
    line = r"RUNNING [━╸╺ ]+ +(\d+)% (\d:\d\d:\d\d) left\s+([\d,]+) windows, ([\d,]+) anomalies"
    first = terminal.wait_for(line)
    later = terminal.wait_for(line)
    for group in (1, 3):
        assert 0 <= int(first[group].replace(",", "")) <= int(later[group].replace(",", "")) <= 20_000
    terminal.type("\x03")
    terminal.wait_for(re.escape("Stop the analysis? [y/N]: "))
    terminal.type("y\n")
    task = terminal.wait_for(r"STOPPED  task (\S+)")[1]
    assert terminal.close() == 0
    assert ended(cluster, task)["state"] == "STOPPED"
