"""The results store and the follower that fills it: opened, written and read to its end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeVar

import duckdb

from api.detectors.previews import is_preview
from api.http.errors import unavailable
from api.results.store import ResultsStore
from api.results.store_file import StoreUnusable
from api.settings import ApiSettings
from schemas.errors import Refused
from schemas.query.conditions import Condition
from schemas.topics import TOPICS
from streams.kafka.follower import Followed, Follower, KafkaRecord, NotNow

T = TypeVar("T")

WRITTEN_AT_ONCE = 8_000
PAUSE_SECONDS = 0.2
"""A write to the results store takes 17 ms and 8 µs for each result: many small ones would take all of a core."""


class ResultsFeed:
    """Fills the store from its topic. The results of previews go to ``take_preview``, in the event loop."""

    def __init__(self, settings: ApiSettings, take_preview: Callable[[KafkaRecord], None]) -> None:
        self._settings, self._take_preview = settings, take_preview
        self._writing = threading.Lock()
        self._store: ResultsStore | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        topic = Followed("results", TOPICS["results"].full_name(settings.prefix), "stored", self._positions)
        self.follower = Follower(
            settings.kafka_client(), [topic], self._deliver, batch=WRITTEN_AT_ONCE, pause=PAUSE_SECONDS
        )

    def open(self) -> ResultsStore:
        """Open the store, unless it is open. Raises ``StoreUnusable``."""
        settings = self._settings
        if self._store is None:
            self._store = ResultsStore(
                settings.data.expanduser() / "results",
                origin=f"{settings.brokers}/{settings.prefix}",
                max_bytes=settings.results_bytes,
                max_age_ms=int(settings.results_days * 86_400_000),
            )
        return self._store

    def start(self) -> None:
        """Begin to fill the store, which is open; belongs to the event loop."""
        self._loop = asyncio.get_running_loop()
        self.follower.start()

    def close(self) -> None:
        """Close the store, when nobody uses it any more."""
        if self._store is not None:
            with self._writing:
                self._store.close()

    def store(self) -> ResultsStore:
        """The store. Raises ``Refused`` (503) before it is open."""
        if self._store is None:
            raise unavailable("the results store is not open yet")
        return self._store

    async def write(self, change: Callable[[ResultsStore], T]) -> T:
        """Change the store in a thread, as its only writer."""
        store = self.store()

        def write() -> T:
            with self._writing:
                return change(store)

        return await asyncio.to_thread(write)

    async def delete(self, condition: Condition, before: Mapping[int, int]) -> int:
        """Delete the results that a condition is true for and that are before these offsets; how many there were."""
        return await self.write(lambda store: store.delete(condition, before))

    def _positions(self) -> Mapping[int, int]:
        if self._store is None:
            return {}
        try:
            return self._store.positions()
        except Refused as refused:
            raise NotNow(refused.reason) from refused

    def _deliver(self, records: list[KafkaRecord]) -> None:
        """Called in the follower's thread."""
        loop = self._loop
        if self._store is None or loop is None:
            return
        try:
            with self._writing:
                self._store.upsert([_without_preview(record) for record in records])
        except (duckdb.Error, OSError, StoreUnusable, Refused) as error:  # its disk is full, most likely
            raise NotNow(f"the results store cannot be written now: {str(error)[:200]}") from error
        for record in records:
            if is_preview(record):
                loop.call_soon_threadsafe(self._take_preview, record)


def _without_preview(record: KafkaRecord) -> KafkaRecord:
    """The record, or in a preview's place one without a value: its offset counts, too."""
    return replace(record, value=None) if is_preview(record) else record
