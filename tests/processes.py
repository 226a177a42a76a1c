"""Processes of tests, none of which outlives the test run: ``processes.py PARENT_PID COMMAND...`` becomes the command.

``kill -9`` of pytest runs no handler and no fixture. So the kernel is told to end the command with its parent, before
the command itself begins. ``deploy/supervision/guard.py`` does more, but stands in between: a test that pauses or
kills a worker means the worker, whose process id is that of the one started here.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence

PR_SET_PDEATHSIG = 1


def bound(command: Sequence[object]) -> list[str]:
    """The command as one that ends when the process that starts it does, for ``subprocess`` (Linux; else as it is).

    To be started by a thread that lives as long as its process: the kernel takes the thread for the parent.
    """
    words = [str(word) for word in command]
    return [sys.executable, "-I", "-S", __file__, str(os.getpid()), *words] if sys.platform == "linux" else words


def main(parent: int, command: list[str]) -> None:
    """Become the command."""
    import ctypes

    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() == parent:  # it may have been killed before we came to this
        os.execvp(command[0], command)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
