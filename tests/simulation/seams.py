"""What agents still take from modules instead of arguments: the time. Put in place once.

The loop of a worker runs only while its process is the current one, so that the module's clock is that worker's own.
"""

from __future__ import annotations

import logging

import structlog

from streams.ingest import agent as ingest
from streams.score import agent as score
from tests.simulation.process import CURRENT


class _Time:
    """In place of the module ``time``."""

    def time(self) -> float:
        return CURRENT.process.clock.time()

    def monotonic(self) -> float:
        return CURRENT.process.clock.monotonic()


def install() -> None:
    """Make the agents of this process those of a simulation."""
    for module, name, instead in (
        (ingest, "time", _Time()),
        (score, "time", _Time()),
    ):
        setattr(module, name, instead)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
