"""The ingest agent: runs of records in, closed windows out, and checkpoints that make a restart exact."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from confluent_kafka import Consumer, KafkaException, TopicPartition
from faust.types import TP

from schemas.partial import encode_partial
from streams.dead_letters import DeadLetters
from streams.detectors import Detectors
from streams.error_codes import GONE
from streams.ingest.catchup import CatchUp
from streams.ingest.source import RunSource, Source
from streams.ingest.sources import Emission, Sources
from streams.ingest.store import SourceStore
from streams.outbox import Outbox
from streams.settings import Settings
from streams.transport.ledger import Ledger

AtEnd = Callable[[TP, int], float | None]
"""When Kafka last confirmed that nothing follows: (partition, next offset) -> monotonic time, None if it did not."""

FRESH = 1.0
"""Seconds: fetches are answered within ``FETCH_WAIT_MS``, and a confirmation older than this is no news."""


class Ingest:
    """Feeds the data partitions of this worker to ``Sources``, and writes what comes of it.

    A checkpoint is written once everything that closed before has arrived, and only then its offset is safe to commit.
    ``failed`` ends the worker: what was not confirmed is done again.
    """

    def __init__(
        self,
        settings: Settings,
        detectors: Detectors,
        outbox: Outbox,
        ledger: Ledger,
        at_end: AtEnd,
        *,
        dead_letters: DeadLetters,
        failed: Callable[[BaseException], None],
    ) -> None:
        self._failed = failed
        self._settings = settings
        self._outbox = outbox
        self._ledger = ledger
        self._at_end = at_end
        self._dead_letters = dead_letters
        self._store = SourceStore(settings, outbox)
        self._sources = Sources(settings, lambda: detectors.running.values())
        self._catching_up: dict[RunSource, asyncio.Task[None]] = {}

    @property
    def sources(self) -> list[Source]:
        """The partitions that this worker reads."""
        return list(self._sources.held.values())

    # -- where reading begins ---------------------------------------------------------------------------------

    async def assigned(self, committed: Mapping[TP, int | None]) -> dict[TP, int]:
        """The data partitions that are ours from now on, with their committed offsets: where to begin reading."""
        given_up, fresh = self._sources.assign(committed)
        for tp in given_up:
            self._ledger.forget(tp)
        if fresh:
            stored = await asyncio.to_thread(self._store.read, fresh)
            for tp in fresh:
                low, high = await asyncio.to_thread(_watermarks, self._settings, tp)
                self._sources.restore(tp, committed[tp], stored.get(tp), low, high, _now())
        self._catch_up()
        return {tp: self._sources.held[tp].offset for tp in committed}

    def refresh(self) -> None:
        """Follow the view of detectors: begin new runs on the sources that we hold, end what no longer runs."""
        self._sources.refresh(_now())
        self._catch_up()

    def _catch_up(self) -> None:
        for source, run in self._sources.behind():
            if run not in self._catching_up:
                task = asyncio.create_task(CatchUp(self._settings, source, run, self._take).run())
                self._catching_up[run] = task
                task.add_done_callback(lambda task, run=run: self._caught_up(task, run))  # type: ignore[misc]

    def _caught_up(self, task: asyncio.Task[None], run: RunSource) -> None:
        del self._catching_up[run]
        if not task.cancelled() and (error := task.exception()) is not None:
            # Its run would hold back every window of this source for ever.
            self._failed(error)

    def position(self, tp: TP) -> int | None:
        """The next offset that is expected."""
        source = self._sources.held.get(tp)
        return None if source is None else source.offset

    # -- records and time -------------------------------------------------------------------------------------

    async def records_arrived(self, tp: TP, records: Sequence[Any]) -> None:
        """Fold one fetch of a partition in."""
        source = self._sources.held.get(tp)
        if source is None or records[-1].offset < source.offset:
            return
        async with source.lock:
            await self._write(self._sources.fold(source, records, _now()))

    async def _take(self, source: Source, run: RunSource, records: Sequence[Any], position: int) -> None:
        async with source.lock:
            await self._write(self._sources.catch_up(source, run, records, position, _now()))

    async def tick(self) -> None:
        """Let the clocks of quiet sources go on, and close what is due."""
        for tp, source in list(self._sources.held.items()):
            if source.lock.locked():
                continue
            async with source.lock:
                confirmed = self._at_end(tp, source.offset)
                at_end = confirmed is not None and time.monotonic() - confirmed < FRESH
                await self._write(self._sources.tick(source, _now(), at_end=at_end))

    async def _write(self, emission: Emission) -> None:
        for letter in emission.dead_letters:
            await self._dead_letters.send(letter)
        for target, partial in emission.partials:
            await self._outbox.send(self._settings.topic("partials"), encode_partial(partial), partition=target)

    # -- checkpoints ------------------------------------------------------------------------------------------

    async def checkpoint(self) -> None:
        """Checkpoint every source that has moved, and mark it safe."""
        snapshots = []
        for source in self._sources.moved():
            async with source.lock:
                snapshots.append(self._sources.snapshot(source))
        # What had closed before the snapshot must have arrived first: after a crash nobody would emit it again.
        await self._outbox.barrier()
        for snapshot in snapshots:
            await self._store.write(snapshot)
        await self._outbox.barrier()
        for snapshot in snapshots:
            if (offset := self._sources.confirm(snapshot)) is not None:
                self._ledger.mark(TP(snapshot.source.topic, snapshot.source.partition), offset)


def _now() -> int:
    return int(time.time() * 1000)


def _watermarks(settings: Settings, tp: TP) -> tuple[int, int]:
    consumer = Consumer(settings.client(**{"group.id": settings.group + "-reader"}), logger=None)
    try:
        low, high = consumer.get_watermark_offsets(TopicPartition(tp.topic, tp.partition), timeout=10.0)
        return int(low), int(high)
    except KafkaException as error:
        if error.args[0].code() not in GONE:
            raise
        # Deleted between the assignment and now: the next refresh of topics takes it out of the run.
        return 0, 0
    finally:
        consumer.close()
