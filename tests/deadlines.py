"""How long tests wait before they fail: one place, and minutes, since the machine may be ten times as busy as ours.

A wait ends on its event. What a deadline is for is a test that would otherwise hang, never how fast something is.
``timeout`` in pyproject.toml, which ends a test as a whole, lies above all of them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")

REQUEST = 120.0
"""Seconds for one answer of Kafka, of the API or of a process that is told to end."""

EVENT = 300.0
"""Seconds for what a test waits for: results, a task's state, a worker that is ready."""

SLOW_TEST = 3600
"""Seconds for a test that is left out of ``make test``."""

LOOK = 0.05
"""Seconds between two looks at what another process does."""


def eventually(what: str, look: Callable[[], Found], *, seconds: float = EVENT, every: float = LOOK) -> Found:
    """The first answer of ``look`` that is true; fails, saying ``what`` never was, when none comes in time.

    >>> answers = iter([0, None, 7])
    >>> eventually("an answer", lambda: next(answers), every=0)
    7
    """
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, f"never came true: {what}"
        time.sleep(every)
    return found
