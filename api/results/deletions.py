"""Deletion of results by query: every API process follows the topic ``deletions`` and deletes from its own store."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Mapping

import duckdb
import structlog

from api.results.store_file import StoreUnusable
from api.search.bind.mappings import RESULTS
from schemas.command import User
from schemas.deletion import Deletion, decode_deletion, encode_deletion
from schemas.errors import Refused
from schemas.query import Query, parse_query, to_document
from schemas.query.bind import bind
from schemas.query.conditions import Condition
from schemas.query.errors import Limits
from streams.kafka.follower import KafkaRecord

log = structlog.get_logger()

LIMITS = Limits(depth=200, clauses=100_000)
"""Accepted deletions are executed by every process, even one with lower limits of its own."""

RETRY_SECONDS = 1.0

Delete = Callable[[Condition, Mapping[int, int]], Awaitable[int]]


class Deletions:
    """The deletions of one API process. Not thread-safe: for the event loop only.

    ``publish`` writes a record to the topic. ``ends`` are the ends of the topic of results, ``read`` returns once the
    store has the results before the offsets that it is given, and ``delete`` deletes from it.
    """

    def __init__(
        self,
        publish: Callable[[str, bytes], Awaitable[None]],
        ends: Callable[[], Awaitable[Mapping[int, int]]],
        read: Callable[[Mapping[int, int]], Awaitable[None]],
        delete: Delete,
        timeout: float,
    ) -> None:
        self._publish, self._ends, self._read = publish, ends, read
        self._delete, self._timeout = delete, timeout
        self._asked: dict[str, asyncio.Future[int]] = {}
        self._under_way: set[asyncio.Task[None]] = set()

    async def submit(self, query: Query, now: int, user: User | None) -> int:
        """Delete the results that a query matches from the stores of all API processes; how many this store had.

        Raises ``Refused``.
        """
        before = dict(await self._ends())
        deletion = Deletion(id=uuid.uuid4().hex, time=now, query=to_document(query), before=before, user=user)
        done = self._asked[deletion.id] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(self._timeout):
                await self._publish(deletion.id, encode_deletion(deletion))
                deleted = await done
        except TimeoutError:
            reason = f"the results were not deleted within {self._timeout:g} s; they will be deleted later"
            raise Refused(504, reason, "timeout_exception") from None
        finally:
            del self._asked[deletion.id]
        log.info("results deleted", user=None if user is None else user.name, action="results.delete", count=deleted)
        return deleted

    def take(self, record: KafkaRecord) -> None:
        """Execute a record of the topic in the background."""
        if record.value is not None:
            task = asyncio.create_task(self._carry_out(decode_deletion(record.value)))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)

    async def _carry_out(self, deletion: Deletion) -> None:
        asked = self._asked.get(deletion.id)
        try:
            condition = bind(parse_query(deletion.query, LIMITS), RESULTS, deletion.time)
            await self._read(deletion.before)
            deleted = await self._deleted(deletion.id, condition, deletion.before)
        except (Refused, duckdb.Error) as error:
            log.error("results could not be deleted", id=deletion.id, error=str(error)[:200])
            if asked is not None and not asked.done():
                asked.set_exception(error)
            return
        if asked is not None and not asked.done():
            asked.set_result(deleted)

    async def _deleted(self, id: str, condition: Condition, before: Mapping[int, int]) -> int:
        """Delete as soon as the store is writable: a full disk is temporary."""
        told = False
        while True:
            try:
                return await self._delete(condition, before)
            except (duckdb.TransactionException, duckdb.IOException, duckdb.FatalException, StoreUnusable) as error:
                if not told:
                    log.warning("results cannot be deleted now", id=id, error=str(error)[:200])
                told = True
            await asyncio.sleep(RETRY_SECONDS)

    async def stop(self) -> None:
        """Cancel what is under way: the next start executes it."""
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)
