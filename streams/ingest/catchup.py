"""A run that is behind its source reads what it lacks by itself, beside the live reading, until they meet."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from streams.ingest.source import RunSource, Source
from streams.ingest.sources import Slice
from streams.kafka.log import Log

Take = Callable[[Source, RunSource, Slice], Awaitable[None]]
"""What takes in what was read."""

SLICE = 5_000
"""Records folded in one go: live reading of the same source waits for at most so many."""


async def catch_up(kafka: Log, source: Source, run: RunSource, take: Take) -> None:
    """Read what a run lacks; return when it has joined its source, has ended, or the source is no longer ours."""
    reader = await asyncio.to_thread(kafka.since, source.topic, source.partition, run.windows.offset)
    try:
        while source.has(run) and not run.joined:
            records = await asyncio.to_thread(reader.read, SLICE, 0.2)
            lost, reader.lost = reader.lost, []
            # A topic that is gone is taken out of the run, which ends this.
            await take(source, run, Slice(records, reader.position, lost))
    finally:
        await asyncio.to_thread(reader.close)
