"""Retention: drops results that are too old or too many, and those of deleted analyses.

The results of an analysis are deleted with its task, as in OpenSearch. Results without a task are found by scanning the
store, not only by following deletions of tasks: a lost store is filled again from the topic, and workers may write a
last result after a task was stopped and deleted at once.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import duckdb
import structlog

from api.detectors.catalog import Catalog
from api.results.feed import ResultsFeed
from api.results.store_file import StoreUnusable
from schemas.errors import Refused

log = structlog.get_logger()

EVERYTHING_SECONDS = 60.0
"""How often results that are too old or too many are dropped, and all results are checked for their tasks."""


class Retention:
    """Drops results in the background. ``state_read`` returns once the catalog includes what is on the topic now.

    ``interval`` (seconds) is how often deleted analyses are looked for.
    """

    def __init__(
        self, catalog: Catalog, results: ResultsFeed, state_read: Callable[[], Awaitable[None]], interval: float
    ) -> None:
        self._catalog = catalog
        self._results = results
        self._state_read = state_read
        self._interval = interval

    async def run(self) -> None:
        """Go on until cancelled."""
        ended, looked = -1, time.monotonic()
        while True:
            await asyncio.sleep(self._interval)
            everything = time.monotonic() - looked > EVERYTHING_SECONDS
            if self._catalog.analyses_deleted == ended and not everything:
                continue
            try:
                deleted = self._catalog.analyses_deleted
                await self._drop_orphans()
                if everything:
                    await self._results.write(lambda store: store.retain(int(time.time() * 1000)))
                    looked = time.monotonic()
                ended = deleted
            # Kafka is unreachable, a search uses the memory, the disk is full: try again later.
            except (Refused, duckdb.Error, OSError, StoreUnusable) as error:
                log.warning("retention of results failed", error=str(error)[:200])

    async def _drop_orphans(self) -> None:
        found = await asyncio.to_thread(self._results.store().analyses)
        # A task is written before its first result: a catalog that is read up to now, after the store was scanned, has
        # either the task or its deletion.
        await self._state_read()
        gone = [task for task in found if self._catalog.tasks.get(task) is None]
        if gone:
            dropped = await self._results.write(lambda store: store.drop_analyses(gone))
            log.info("dropped results of deleted tasks", tasks=len(gone), results=dropped)
