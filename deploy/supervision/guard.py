"""Runs one command that must not outlive its parent: ``guard.py PARENT_PID GRACE_SECONDS COMMAND...``

A process between the parent and the command. It stops the command when the parent is gone (``kill -9`` runs no handler
in the parent), passes SIGTERM and SIGINT on, and exits with the command's exit code (128 + n when signal n ended it).
It uses the standard library only, so that it starts at once.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from types import FrameType

PR_SET_PDEATHSIG = 1
POLL_SECONDS = 0.2


def main(arguments: list[str]) -> int:
    """Run the command; returns its exit code."""
    parent, grace, command = int(arguments[0]), float(arguments[1]), arguments[2:]
    stop_requested = False

    def request_stop(_signal: int, _frame: FrameType | None) -> None:
        nonlocal stop_requested
        stop_requested = True

    signal.signal(signal.SIGTERM, request_stop)
    signal.signal(signal.SIGINT, request_stop)
    # The guard has one thread, so "parent thread gone" means "guard gone": the kernel then kills the command.
    child = subprocess.Popen(command, preexec_fn=_die_with_guard if sys.platform == "linux" else None)
    while child.poll() is None:
        # A polled parent id, not a pipe held by the parent: a forked child of the parent would hold it as well.
        if stop_requested or os.getppid() != parent:
            return _stop(child, grace)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(POLL_SECONDS)
    return _exit_code(child.returncode)


def _die_with_guard() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _stop(child: subprocess.Popen[bytes], grace: float) -> int:
    child.terminate()
    deadline = time.monotonic() + grace
    while child.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(POLL_SECONDS)
    if child.poll() is None:
        child.kill()
    return _exit_code(child.wait())


def _exit_code(returncode: int) -> int:
    return 128 - returncode if returncode < 0 else returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
