"""Orderly shutdown: the first signal ends the block, later ones do not disturb the stop."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from tests.deadlines import REQUEST
from tests.processes import bound

PROGRAM = """
import os, signal, sys, time
from deploy.supervision.signals import stoppable
with stoppable():
    try:
        print("ready", flush=True)
        time.sleep(600)
    finally:
        # The stop is under way when the second signal arrives.
        print("stopping", flush=True)
        sys.stdin.readline()
        print("stopped", flush=True)
print("end", flush=True)
"""


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_first_signal_stops_in_order_and_a_second_one_is_ignored(first: signal.Signals) -> None:
    # Under nohup the tests ignore SIGHUP, which the program would inherit.
    heard = "import signal; signal.signal(signal.SIGHUP, signal.SIG_DFL)\n"
    with subprocess.Popen(
        bound([sys.executable, "-c", heard + PROGRAM]), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(first)
        assert process.stdout.readline() == "stopping\n"
        for again in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            process.send_signal(again)
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.read() == "stopped\nend\n"
        assert process.wait(REQUEST) == 0


def test_a_hang_up_that_is_ignored_stays_ignored() -> None:
    ignoring = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
    code = ignoring + PROGRAM.replace("time.sleep(600)", "os.kill(os.getpid(), signal.SIGHUP)")
    answer = subprocess.run(
        bound([sys.executable, "-c", code]), input="\n", capture_output=True, text=True, timeout=REQUEST, check=True
    )
    assert answer.stdout == "ready\nstopping\nstopped\nend\n"
