"""What the results store need not keep any longer: results that are too old, too many, or of an analysis that is gone.

The results of an analysis go with its task, as in the anchor (section 3.6). A result without its task is found by
looking, not by following the tasks' ends alone: a store that was lost is filled again with what the topic still holds,
and workers may write a last result after the end of a task that was stopped and removed at once.
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
"""How often the store is asked to drop what is too old or too much, and all results of tasks are looked at."""


class Retention:
    """Drops results in the background. ``state_read`` returns when the catalog knows what is on the topic now.

    ``interval`` is in seconds.
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
            # Kafka is away, a search has taken the memory, the disk is full: later.
            except (Refused, duckdb.Error, OSError, StoreUnusable) as error:
                log.warning("results could not be looked through", error=str(error)[:200])

    async def _drop_orphans(self) -> None:
        found = await asyncio.to_thread(self._results.store().analyses)
        # A task is written before its first result: once the catalog has read what is on the topic after the look
        # into the store, it knows the task, or its end.
        await self._state_read()
        gone = [task for task in found if self._catalog.tasks.get(task) is None]
        if gone:
            dropped = await self._results.write(lambda store: store.drop_analyses(gone))
            log.info("results of deleted tasks are dropped", tasks=len(gone), results=dropped)
