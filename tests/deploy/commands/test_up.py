"""``riverwatch up`` with everything real: it gets ready, heals, and leaves nothing behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from deploy.local_kafka.broker import free_port, port_is_free
from tests.command_line import ENVIRONMENT
from tests.deadlines import EVENT, REQUEST, eventually
from tests.pids import is_alive
from tests.processes import bound


def descendants(pid: int) -> set[int]:
    """Every process below ``pid``."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            parents.setdefault(parent, []).append(int(entry.name))
    found: set[int] = set()
    waiting = [pid]
    while waiting:
        for child in parents.get(waiting.pop(), []):
            found.add(child)
            waiting.append(child)
    return found


def stats_status(port: int) -> int:
    """The status of an answer that needs the API's views and the workers' word."""
    return httpx.get(f"http://127.0.0.1:{port}/_plugins/_anomaly_detection/stats", timeout=REQUEST).status_code


def command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


class Up:
    """A running ``riverwatch up`` and what it has printed."""

    def __init__(self, process: subprocess.Popen[str], broker_port: int, api_port: int) -> None:
        self.process = process
        self.broker_port = broker_port
        self.api_port = api_port
        self.lines: list[str] = []
        self.reader = threading.Thread(target=self._read)
        self.reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        self.lines.extend(self.process.stdout)

    def said(self, pattern: str) -> int:
        return sum(re.match(pattern, line) is not None for line in list(self.lines))

    def workers(self) -> list[int]:
        return [
            pid for pid in descendants(self.process.pid) if re.match(r"\S+ -m deploy\.cli worker", command_line(pid))
        ]


@contextmanager
def up(data: Path, *extra: str) -> Iterator[Up]:
    broker_port, api_port = free_port(), free_port()
    flags = ["--broker-port", str(broker_port), "--api-port", str(api_port), "--data", str(data), *extra]
    with subprocess.Popen(
        bound([sys.executable, "-m", "deploy.cli", "up", *flags]),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=ENVIRONMENT,
    ) as process:
        running = Up(process, broker_port, api_port)
        try:
            eventually("up is ready", lambda: running.said("up ready:") or process.poll() is not None)
            assert running.said("up ready:"), "".join(running.lines)
            yield running
        finally:
            process.kill()
            running.reader.join(EVENT)


def test_up_heals_and_stops_in_order(tmp_path: Path) -> None:
    with up(tmp_path, "--workers", "2") as running:
        assert httpx.get(f"http://127.0.0.1:{running.api_port}/").status_code == 200
        everything = descendants(running.process.pid)
        first = running.workers()
        assert len(first) == 2

        os.kill(first[0], signal.SIGKILL)
        eventually("it is reported", lambda: running.said(r"worker-\d was killed by signal 9; starting it again"))
        eventually("it is ready again", lambda: running.said(r"worker-\d \| worker \S+ ready") == 3)
        everything |= descendants(running.process.pid)

        (kafka,) = [pid for pid in descendants(running.process.pid) if re.match(r"\S+/java ", command_line(pid))]
        os.kill(kafka, signal.SIGKILL)
        eventually("it is reported", lambda: running.said("broker ended with exit code 137"))
        eventually("Kafka is back", lambda: not port_is_free(running.broker_port))
        eventually("the API answers", lambda: stats_status(running.api_port) == 200)
        everything |= descendants(running.process.pid)

        running.process.send_signal(signal.SIGINT)
        assert running.process.wait(REQUEST) == 0
        running.reader.join(EVENT)
        assert running.lines[-1] == "up stopped\n"
        assert not running.said(".*leaked")
        assert not {pid for pid in everything if is_alive(pid)}
        assert port_is_free(running.broker_port)
        assert port_is_free(running.api_port)


def test_a_killed_up_leaves_nothing_behind(tmp_path: Path) -> None:
    with up(tmp_path) as running:
        everything = descendants(running.process.pid)
        assert len(everything) >= 6  # three guards, Kafka, a worker, the API
        running.process.kill()
        eventually("all are gone", lambda: not {pid for pid in everything if is_alive(pid)})
