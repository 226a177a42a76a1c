"""Queries of the results store and long searches of documents, in threads: the event loop never waits."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import duckdb

from api.results.store import CANCELLED, ResultsStore
from api.search.deadline import Deadline
from api.search.sql.slice import Run
from schemas.errors import Refused

T = TypeVar("T")


class Queries:
    """At most ``threads`` are under way at once; each may use several cores. Searches of documents take ``seconds``.

    ``store`` gives the results store, or raises ``Refused`` while it is not complete.
    """

    def __init__(self, threads: int, seconds: float, store: Callable[[], ResultsStore]) -> None:
        self._threads = ThreadPoolExecutor(threads, "queries")
        self._seconds, self._store = seconds, store

    async def results(self, query: Callable[[Run], T]) -> T:
        """What a query of the results store finds. It is cancelled, or never begun, when its caller is cancelled."""
        store, cancellable = self._store(), _Query()
        return await self._in_thread(lambda: cancellable.run(store, query), cancellable.cancel)

    async def documents(self, search: Callable[[Deadline], T]) -> T:
        """What a search of documents in memory finds. It is cancelled when its caller is."""
        deadline = Deadline(self._seconds)
        return await self._in_thread(lambda: search(deadline), deadline.give_up)

    async def _in_thread(self, work: Callable[[], T], cancel: Callable[[], None]) -> T:
        found = asyncio.get_running_loop().run_in_executor(self._threads, work)
        try:
            return await asyncio.shield(found)
        except asyncio.CancelledError:
            cancel()
            # A thread that still reads keeps its place: whoever comes next must not find the store overrun.
            await asyncio.wait([found])
            if not found.cancelled():
                found.exception()
            raise

    def close(self) -> None:
        """Wait for what is under way."""
        self._threads.shutdown(wait=True)


class _Query:
    """One query of the results store: begun in one thread, cancelled by another."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._cursor: duckdb.DuckDBPyConnection | None = None
        self._cancelled = False

    def run(self, store: ResultsStore, query: Callable[[Run], T]) -> T:
        """Read from the store. Raises ``Refused`` (408) when cancelled."""
        with store.reading() as cursor:
            with self._lock:
                self._check()
                self._cursor = cursor

            def run(sql: str, values: Mapping[str, Any]) -> list[Any]:
                self._check()  # between two of its statements there is nothing to interrupt
                return cursor.execute(sql, values).fetchall()

            try:
                return query(run)
            finally:
                with self._lock:
                    self._cursor = None

    def _check(self) -> None:
        if self._cancelled:
            raise Refused(408, CANCELLED, "timeout_exception")

    def cancel(self) -> None:
        """End it."""
        with self._lock:
            self._cancelled = True
            if self._cursor is not None:
                self._cursor.interrupt()
