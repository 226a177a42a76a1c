"""Ctrl-C and SIGTERM are one thing: a wish to stop in order."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def stoppable() -> Iterator[None]:
    """The first Ctrl-C, SIGTERM or hang-up ends the block (by a ``KeyboardInterrupt`` in it) without an error.

    Later ones are ignored: impatient second signals would cut off the orderly stop that the first one began.
    """

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        ignore_stop_signals()
        raise KeyboardInterrupt

    for each in STOP_SIGNALS:
        # Under nohup a hang-up is ignored from the start, and has to stay so.
        if each != signal.SIGHUP or signal.getsignal(each) != signal.SIG_IGN:
            signal.signal(each, interrupt)
    with suppress(KeyboardInterrupt):
        yield


def ignore_stop_signals() -> None:
    """What is being stopped already is not stopped again."""
    for each in STOP_SIGNALS:
        signal.signal(each, signal.SIG_IGN)
