"""``riverwatch broker``."""

from __future__ import annotations

import signal
import socket
from pathlib import Path

import pytest

from deploy.local_kafka.broker import free_port, port_is_free
from tests.command_line import run, running
from tests.deadlines import REQUEST


def test_a_taken_port_is_exit_code_6(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        answer = run("broker", "--port", str(other.getsockname()[1]), "--data", str(tmp_path))
    assert answer.returncode == 6
    assert "is taken" in answer.stderr


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
