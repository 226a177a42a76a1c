"""The ingest agent: runs of records in, closed windows out, and checkpoints that make a restart exact."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from schemas.command import encode_event
from schemas.partial import encode_partial
from streams.dead_letters import DeadLetters
from streams.detectors import Detectors
from streams.fencing.shares import Shares
from streams.ingest.catchup import catch_up
from streams.ingest.reports import SourceReports
from streams.ingest.source import RunSource, Source
from streams.ingest.sources import Emission, Slice, Snapshot, Sources
from streams.ingest.store import share_of
from streams.kafka.clock import KafkaClock
from streams.kafka.log import Log
from streams.kafka.outages import Outage
from streams.kafka.outbox import Outbox
from streams.kafka.tp import TP
from streams.schema_registry.supply import SchemaSupply
from streams.settings import Settings
from streams.transport.ledger import Ledger


class Reading(Protocol):
    """What the transport knows about the partitions that are read. Times are monotonic."""

    def at_end(self, tp: TP, offset: int) -> float | None:
        """When Kafka last confirmed that nothing follows ``offset``; None when it did not."""
        ...

    def outage(self, tp: TP) -> Outage | None:
        """Kafka's latest outage, as far as this partition was asked for."""
        ...

    def doubt(self, tp: TP) -> None:
        """Look whether the topic has been made anew before any more of it is read."""
        ...


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
        reading: Reading,
        *,
        kafka: Log,
        clock: KafkaClock,
        shares: Shares,
        schemas: SchemaSupply,
        dead_letters: DeadLetters,
        failed: Callable[[BaseException], None],
    ) -> None:
        self._failed = failed
        self._settings = settings
        self._outbox = outbox
        self._ledger = ledger
        self._reading = reading
        self._clock = clock
        self._dead_letters = dead_letters
        self._kafka = kafka
        self._shares = shares
        self._schemas = schemas
        self._sources = Sources(settings, lambda: detectors.running.values(), schemas.known)
        self._reports = SourceReports(settings.node_id)
        self._catching_up: dict[RunSource, asyncio.Task[None]] = {}

    @property
    def sources(self) -> list[Source]:
        """The partitions that this worker reads."""
        return list(self._sources.held.values())

    # -- where reading begins ---------------------------------------------------------------------------------

    async def assigned(self, committed: Mapping[TP, int | None]) -> dict[TP, int]:
        """The data partitions that are ours from now on, with their committed offsets: where to begin reading."""
        snapshots = []
        for source in self._sources.leaving(committed):
            async with source.lock:
                snapshots.append(self._sources.give_up(source))
            self._ledger.forget(TP(source.topic, source.partition))
        await self._store(snapshots)
        fresh = [tp for tp in committed if tp not in self._sources.held]
        if fresh:
            names = {tp: share_of(tp.topic, tp.partition) for tp in fresh}
            shares = await self._shares.take_over(names.values())
            extents = await asyncio.to_thread(self._kafka.extents, fresh)
            for tp, name in names.items():
                self._sources.restore(tp, committed[tp], shares[name], extents[tp], self._clock.now())
        if (outage := self._clock.outage) is not None:
            # Nobody fetches in a rebalance, and of what is new here others have waited for the records.
            for source in self._sources.held.values():
                self._hold(source, outage)
        self._sources.announce()
        self._catch_up()
        return {tp: self._sources.held[tp].offset for tp in committed}

    def refresh(self) -> None:
        """Follow the view of detectors: begin new runs on the sources that we hold, end what no longer runs."""
        self._sources.refresh(self._clock.now())
        for tp in self._sources.outdated():
            self._reading.doubt(tp)
        self._catch_up()

    def _catch_up(self) -> None:
        for source, run in self._sources.behind():
            if run not in self._catching_up:
                task = asyncio.create_task(catch_up(self._kafka, source, run, self._take))
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
            self._look_for_outage(tp, source)
            now = self._clock.now()
            await self._write(await self._schemas.supplied(lambda: self._sources.fold(source, records, now)))

    async def lost(self, tp: TP, begin: int, end: int) -> None:
        """Retention deleted the offsets from ``begin`` to before ``end`` before they were read."""
        source = self._sources.held.get(tp)
        if source is not None:
            async with source.lock:
                self._sources.lose(source, begin, end)

    def topic_id(self, topic: str) -> str:
        """The id of the topic that is read."""
        return next((source.topic_id for source in self._sources.held.values() if source.topic == topic), "")

    async def made_anew(self, tp: TP, topic_id: str) -> None:
        """The topic is another one of the same name, whose records come from now on, from the first one."""
        source = self._sources.held.get(tp)
        if source is not None:
            async with source.lock:
                self._sources.made_anew(source, topic_id)
                # What was safe in the old topic is not in this one.
                self._ledger.forget(tp)

    async def _take(self, source: Source, run: RunSource, read: Slice) -> None:
        async with source.lock:
            now = self._clock.now()
            await self._write(await self._schemas.supplied(lambda: self._sources.catch_up(source, run, read, now)))

    async def tick(self) -> None:
        """Let the clocks of quiet sources go on, and close what is due."""
        for tp, source in list(self._sources.held.items()):
            if source.lock.locked():
                continue
            async with source.lock:
                self._look_for_outage(tp, source)
                at = self._reading.at_end(tp, source.offset)
                confirmed = None if at is None or self._clock.monotonic() - at >= FRESH else self._clock.at(at)
                await self._write(self._sources.tick(source, self._clock.now(), confirmed))

    def _look_for_outage(self, tp: TP, source: Source) -> None:
        outage = self._reading.outage(tp)
        if outage is not None and outage != source.outage:
            source.outage = outage
            self._hold(source, outage)

    def _hold(self, source: Source, outage: Outage) -> None:
        self._sources.hold(source, self._clock.at(outage.began), self._clock.at(outage.ended))

    async def _write(self, emission: Emission) -> None:
        for letter in emission.dead_letters:
            await self._dead_letters.send(letter)
        for target, partial in emission.partials:
            await self._outbox.send(self._settings.topic("partials"), encode_partial(partial), partition=target)

    async def report(self) -> None:
        """Report what became of the records of the sources, where there is news."""
        for report in self._reports.due(self._sources.held.values(), self._clock.monotonic()):
            await self._outbox.send(self._settings.topic("control"), encode_event(report), key=report.detector_id)

    # -- checkpoints ------------------------------------------------------------------------------------------

    async def checkpoint(self) -> None:
        """Checkpoint every source that has moved, and mark it safe."""
        snapshots = []
        for source in self._sources.moved():
            async with source.lock:
                snapshots.append(self._sources.snapshot(source))
        await self._store(snapshots)
        for snapshot in snapshots:
            if (offset := self._sources.confirm(snapshot)) is not None:
                self._ledger.mark(TP(snapshot.source.topic, snapshot.source.partition), offset)

    async def _store(self, snapshots: Sequence[Snapshot]) -> None:
        if not snapshots:
            return
        # What had closed before the snapshot must have arrived first: after a crash nobody would emit it again.
        await self._outbox.barrier()
        for snapshot in snapshots:
            await self._shares.write(snapshot.records)
        await self._outbox.barrier()
