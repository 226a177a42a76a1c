"""Commands whose process ids tests watch: whether they run, and what becomes of them."""

from __future__ import annotations

from pathlib import Path

from tests.deadlines import eventually

SLEEPER = "import os, time; open({file!r}, 'w').write(str(os.getpid())); time.sleep(600)"
"""A program that writes its process id to ``file`` and sleeps."""


def is_alive(pid: int) -> bool:
    """Whether the process runs; a zombie does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def read_pid(file: Path) -> int:
    """The process id that a ``SLEEPER`` has written, once it has."""
    eventually("the command runs", lambda: file.exists() and file.read_text() != "")
    return int(file.read_text())
