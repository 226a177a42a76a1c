"""The demo from outside: it ends with 0 and has found what is there to be found."""

from __future__ import annotations

import re
import socket

from tests.command_line import ENVIRONMENT, run


def test_the_demo_finds_anomalies_in_labelled_windows_and_leaves_taken_ports_alone() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        answer = run("demo", "--once", "--broker-port", str(taken), "--api-port", str(taken), environment=ENVIRONMENT)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert f"Port {taken} is taken" in answer.stdout
    rows = re.search(r"rows +([\d,]+) in", answer.stdout)
    results = re.search(r"results +([\d,]+) of ([\d,]+) windows", answer.stdout)
    hit = re.search(r"labelled windows +(\d+) of 15 hit", answer.stdout)
    assert rows is not None
    assert results is not None
    assert hit is not None
    assert rows.group(1) == "32,256"
    assert results.group(1) == results.group(2)
    assert int(hit.group(1)) >= 8
    assert answer.stdout.count("●") + answer.stdout.count("○") > 10
    assert "curl -s 'http://127.0.0.1:" in answer.stdout
