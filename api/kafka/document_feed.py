"""Applies the records of the document topics to the views, in the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import structlog

from streams.kafka.follower import Followed, Follower, KafkaRecord

log = structlog.get_logger()

APPLIED_AT_ONCE = 250
"""Records applied in one go of the event loop: longer goes would keep requests waiting during a replay."""


class DocumentFeed:
    """Follows topics; each record goes to the one of ``appliers`` that has the topic's short name.

    ``applied`` is told the offset of the last applied record of each topic, after every few records.
    """

    def __init__(
        self,
        client: Mapping[str, str],
        topics: list[Followed],
        appliers: Mapping[str, Callable[[KafkaRecord], None]],
        applied: Callable[[Mapping[str, int]], None],
    ) -> None:
        self._appliers, self._applied = appliers, applied
        self._loop: asyncio.AbstractEventLoop | None = None
        self.follower = Follower(client, topics, self._deliver)

    def start(self) -> None:
        """Begin to follow; belongs to the event loop that applies the records."""
        self._loop = asyncio.get_running_loop()
        self.follower.start()

    def _deliver(self, records: list[KafkaRecord]) -> None:
        """Called in the follower's thread: apply in the event loop, a little at a time, and wait for it."""
        loop = self._loop
        if loop is None or loop.is_closed():
            return
        for start in range(0, len(records), APPLIED_AT_ONCE):
            some = records[start : start + APPLIED_AT_ONCE]
            asyncio.run_coroutine_threadsafe(self._apply(some), loop).result()

    async def _apply(self, records: list[KafkaRecord]) -> None:
        offsets: dict[str, int] = {}
        for record in records:
            try:
                self._appliers[record.topic](record)
            except Exception as error:  # whatever somebody wrote to the topic: nothing would be answered any more
                log.error("skipped an unreadable record", topic=record.topic, offset=record.offset, error=repr(error))
            offsets[record.topic] = record.offset
        # Before those who wait for these records go on: the follower counts them a moment later.
        self.follower.note_written(offsets)
        self._applied(offsets)
