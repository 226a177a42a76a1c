"""Orderly shutdown: Ctrl-C, SIGTERM and hang-up mean the same."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def stoppable() -> Iterator[None]:
    """The first Ctrl-C, SIGTERM or hang-up ends the block (by a ``KeyboardInterrupt`` in it) without an error.

    Later signals are ignored: an impatient second one would interrupt the orderly stop that the first one began.
    """

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        ignore_stop_signals()
        raise KeyboardInterrupt

    for each in STOP_SIGNALS:
        # Under nohup hang-ups are ignored from the start, and must stay ignored.
        if each != signal.SIGHUP or signal.getsignal(each) != signal.SIG_IGN:
            signal.signal(each, interrupt)
    with suppress(KeyboardInterrupt):
        yield


def ignore_stop_signals() -> None:
    """From now on, for a process that is stopping already."""
    for each in STOP_SIGNALS:
        signal.signal(each, signal.SIG_IGN)
