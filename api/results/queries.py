"""Questions to the results store and long searches of the other documents, in threads: the event loop never waits."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import duckdb

from api.results.store import ResultsStore
from api.search.deadline import Deadline
from api.search.sql_slice import Run
from schemas.errors import Refused

T = TypeVar("T")

BROKEN_OFF = "The search took too long and was broken off"


class Questions:
    """At most ``threads`` questions are under way at once; each may use several cores."""

    def __init__(self, threads: int) -> None:
        self._threads = ThreadPoolExecutor(threads, "results")

    async def ask(self, store: ResultsStore, question: Callable[[Run], T]) -> T:
        """The answer to a question. One that nobody waits for any more is broken off, or not begun."""
        asked = _Asked()
        return await self._work(lambda: asked.answer(store, question), asked.give_up)

    async def search(self, seconds: float, search: Callable[[Deadline], T]) -> T:
        """What a search of documents in memory finds. It is broken off when nobody waits for it any more."""
        deadline = Deadline(seconds)
        return await self._work(lambda: search(deadline), deadline.give_up)

    async def _work(self, work: Callable[[], T], give_up: Callable[[], None]) -> T:
        answer = asyncio.get_running_loop().run_in_executor(self._threads, work)
        try:
            return await asyncio.shield(answer)
        except asyncio.CancelledError:
            give_up()
            # A thread that still reads keeps its place: whoever comes next must not find the store overrun.
            await asyncio.wait([answer])
            if not answer.cancelled():
                answer.exception()
            raise

    def close(self) -> None:
        """Wait for what is under way."""
        self._threads.shutdown(wait=True)


class _Asked:
    """One question: begun in one thread, given up by another."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._cursor: duckdb.DuckDBPyConnection | None = None
        self._given_up = False

    def answer(self, store: ResultsStore, question: Callable[[Run], T]) -> T:
        """Read from the store. Raises ``Refused`` (408) when it was given up."""
        with store.reading() as cursor:
            with self._lock:
                if self._given_up:
                    raise Refused(408, BROKEN_OFF, "timeout_exception")
                self._cursor = cursor

            def run(sql: str, values: Mapping[str, Any]) -> list[Any]:
                # Between two of its statements there is nothing to interrupt.
                if self._given_up:
                    raise Refused(408, BROKEN_OFF, "timeout_exception")
                return cursor.execute(sql, values).fetchall()

            try:
                return question(run)
            finally:
                with self._lock:
                    self._cursor = None

    def give_up(self) -> None:
        """Break it off."""
        with self._lock:
            self._given_up = True
            if self._cursor is not None:
                self._cursor.interrupt()
