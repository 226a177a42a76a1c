"""A child process whose output is read: a worker or the API under ``riverwatch up``."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping

from deploy.supervision import guard


class Child:
    """A command in a process group of its own, which ends when this process does.

    It is ready once it prints a line that ``ready`` (a regular expression) matches at the start. Each line that it
    prints goes to ``report`` behind its name. ``grace`` is how many seconds it may take to stop before it is killed.
    """

    def __init__(
        self,
        name: str,
        command: list[str],
        environment: Mapping[str, str],
        *,
        ready: str,
        report: Callable[[str], None],
        grace: float = 30.0,
    ) -> None:
        self.name = name
        self._command = command
        self._environment = {**environment, "PYTHONUNBUFFERED": "1"}
        self._ready_line = re.compile(ready)
        self._report = report
        self._grace = grace
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None
        self._ready = threading.Event()

    def start(self) -> None:
        """Start the process; returns at once."""
        self._ready.clear()
        self._process = subprocess.Popen(
            [sys.executable, "-S", "-E", guard.__file__, str(os.getpid()), str(self._grace), *self._command],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            # Ctrl-C in a terminal goes to the whole process group, but children are to be stopped in order.
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read_output, args=(self._process,), daemon=True)
        self._reader.start()

    def is_ready(self) -> bool:
        """Whether it has printed its ``ready`` line."""
        return self._ready.is_set()

    def ended(self) -> str | None:
        """How it ended; None while it is running."""
        code = None if self._process is None else self._process.poll()
        if code is None:
            return None
        return f"was killed by signal {code - 128}" if code > 128 else f"ended with exit code {code}"

    def stop(self) -> None:
        """Stop the process and wait for its end; does nothing when it is not running."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        process.wait()
        if self._reader is not None:
            self._reader.join(5)

    def _read_output(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                self._report(f"{self.name} | {line.rstrip()}")
                if self._ready_line.match(line):
                    self._ready.set()
