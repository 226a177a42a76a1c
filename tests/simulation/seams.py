"""What agents still take from modules instead of arguments: the time, and reading models back. Put in place once.

The loop of a worker runs only while its process is the current one, so that the module's clock is that worker's own.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import structlog

from streams.ingest import agent as ingest
from streams.score import agent as score
from streams.settings import Settings
from tests.simulation.kafka import MemoryLog
from tests.simulation.process import CURRENT


class _Time:
    """In place of the module ``time``."""

    def time(self) -> float:
        return CURRENT.process.clock.time()

    def monotonic(self) -> float:
        return CURRENT.process.clock.monotonic()


def _read_to_end(settings: Settings, topic: str, partitions: list[int]) -> Iterator[Any]:
    return MemoryLog(CURRENT.process.world).whole(topic, partitions)


def install() -> None:
    """Make the agents of this process those of a simulation."""
    for module, name, instead in (
        (ingest, "time", _Time()),
        (score, "time", _Time()),
        (score, "read_to_end", _read_to_end),
    ):
        setattr(module, name, instead)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
