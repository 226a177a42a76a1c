"""The ingest agent: runs of records in, closed windows out, and checkpoints that make a restart exact."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import structlog
from confluent_kafka import Consumer, KafkaException, TopicPartition
from faust.types import TP

from schemas.checkpoint import RunCheckpoint, SourceCheckpoint, decode_source, encode
from schemas.errors import UnknownVersion
from schemas.partial import encode_partial
from streams.dead_letters import DeadLetters
from streams.detectors import Detectors, Running
from streams.error_codes import GONE
from streams.follower import read_to_end
from streams.ingest.catchup import CatchUp
from streams.ingest.clock import SourceClock
from streams.ingest.decode import Decoder
from streams.ingest.entities import EntityTable
from streams.ingest.source import RunSource, Source, assemble
from streams.ingest.windows import Closed, RunWindows
from streams.outbox import Outbox
from streams.plan import Plan
from streams.settings import Settings
from streams.transport.ledger import Ledger

log = structlog.get_logger()

AtEnd = Callable[[TP, int], float | None]
"""When Kafka last confirmed that nothing follows: (partition, next offset) -> monotonic time, None if it did not."""

FRESH = 1.0
"""Seconds: fetches are answered within ``FETCH_WAIT_MS``, and a confirmation older than this is no news."""


class Ingest:
    """All data partitions of this worker.

    The state of a source at offset O is exactly the fold of its records before O. ``checkpoint`` writes it to the
    ``windows`` topic once everything that closed before has arrived, and only then is O safe to commit. ``failed``
    ends the worker: what was not confirmed is done again.
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
        self._detectors = detectors
        self._outbox = outbox
        self._ledger = ledger
        self._at_end = at_end
        self._dead_letters = dead_letters
        self._sources: dict[TP, Source] = {}
        self._entities: dict[tuple[str, int], EntityTable] = {}
        self._decoders: dict[str, Decoder] = {}
        self._catching_up: set[asyncio.Task[None]] = set()
        self.records = 0

    # -- where reading begins ---------------------------------------------------------------------------------

    async def assigned(self, committed: Mapping[TP, int | None]) -> dict[TP, int]:
        """The data partitions that are ours from now on, with their committed offsets: where to begin reading.

        A source that we already hold goes on where it is, unless somebody else has been further meanwhile.
        """
        for tp in self._sources.keys() - committed.keys():
            self._drop(tp)
        fresh = []
        for tp, offset in committed.items():
            source = self._sources.get(tp)
            if source is not None and (offset or 0) > source.offset:
                self._drop(tp)
                source = None
            if source is None:
                fresh.append(tp)
        if fresh:
            checkpoints = await asyncio.to_thread(self._read_checkpoints, fresh)
            for tp in fresh:
                self._sources[tp] = await self._restored(tp, committed[tp], *checkpoints.get(tp, (None, 0, [])))
        self._build_decoders()
        return {tp: self._sources[tp].offset for tp in committed}

    def _drop(self, tp: TP) -> None:
        self._sources.pop(tp, None)
        self._ledger.forget(tp)

    def _read_checkpoints(self, tps: Iterable[TP]) -> dict[TP, tuple[int, int, list[RunCheckpoint]]]:
        """The latest whole checkpoint of each source: its offset, its slot and its runs."""
        wanted = {(tp.topic, tp.partition): tp for tp in tps}
        parts: dict[tuple[TP, int], dict[int, SourceCheckpoint]] = defaultdict(dict)
        for message in read_to_end(self._settings, self._settings.topic("windows"), [0]):
            key = (message.key() or b"").decode()
            topic, partition, slot, _ = key.rsplit("/", 3)
            tp = wanted.get((topic, int(partition)))
            if tp is None or message.value() is None:
                continue
            try:
                checkpoint = decode_source(message.value())
            except (UnknownVersion, ValueError) as error:
                log.error("source checkpoint not readable, its source is read from its start", key=key, error=error)
                continue
            parts[tp, int(slot)][checkpoint.part] = checkpoint
        latest: dict[TP, tuple[int, int, list[RunCheckpoint]]] = {}
        for (tp, slot), found in parts.items():
            # A larger checkpoint that was written to this slot before leaves parts behind that do not count.
            newest = max(checkpoint.offset for checkpoint in found.values())
            runs = assemble(checkpoint for checkpoint in found.values() if checkpoint.offset == newest)
            if runs is not None and (tp not in latest or newest > latest[tp][0]):
                latest[tp] = (newest, slot, runs)
        return latest

    async def _restored(
        self, tp: TP, committed: int | None, offset: int | None, slot: int, runs: list[RunCheckpoint]
    ) -> Source:
        low, high = await asyncio.to_thread(_watermarks, self._settings, tp)
        if offset is not None and offset > high:
            log.warning("topic was made anew, reading from its beginning", topic=tp.topic, partition=tp.partition)
            offset, runs = None, []
        states = {(run.owner, run.run): run for run in runs}
        source = Source(tp.topic, tp.partition, offset or 0, slot=slot)
        now = int(time.time() * 1000)
        matched = False
        for running in self._running_on(tp):
            state = states.get((running.plan.owner, running.plan.run))
            run = self._new_run(tp, running, min(running.start_of(tp.topic, tp.partition) or 0, high))
            if state is not None:
                matched = True
                run.windows.restore(state)
                if state.clock is not None:
                    run.clock.observe(state.clock, now)
            source.runs[running.plan.owner] = run
        if source.runs and not (matched and offset is not None):
            source.offset = max(low, min(run.windows.offset for run in source.runs.values()))
        elif not source.runs:
            source.offset = max(committed or 0, offset or 0) or high
        for run in source.runs.values():
            self._join_or_catch_up(source, run)
        log.info("source begins", topic=tp.topic, partition=tp.partition, offset=source.offset, end=high)
        return source

    def _running_on(self, tp: TP) -> list[Running]:
        return [
            running
            for running in self._detectors.running.values()
            if running.start_of(tp.topic, tp.partition) is not None
        ]

    def _new_run(self, tp: TP, running: Running, start: int) -> RunSource:
        plan = running.plan
        table = self._entities.setdefault((plan.owner, plan.run), EntityTable(plan))
        clock = SourceClock(
            int(time.time() * 1000),
            tick_grace_ms=int(self._settings.tick_grace * 1000),
            idle_timeout_ms=int(self._settings.idle_timeout * 1000),
            start_timeout_ms=int(self._settings.start_timeout * 1000),
        )
        past = running.past_of(tp.topic, tp.partition)
        return RunSource(RunWindows(plan, table, start), clock, joined=False, past=past)

    def _join_or_catch_up(self, source: Source, run: RunSource) -> None:
        if run.windows.offset >= source.offset:
            run.joined = True
            return
        task = asyncio.create_task(CatchUp(self._settings, source, run, self._fold_one).run())
        self._catching_up.add(task)
        task.add_done_callback(self._caught_up)

    def _caught_up(self, task: asyncio.Task[None]) -> None:
        self._catching_up.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            # Its run would hold back every window of this source for ever.
            self._failed(error)

    # -- what runs --------------------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Follow the view of detectors: begin new runs on the sources that we hold, end what no longer runs."""
        for tp, source in self._sources.items():
            running_here = {running.plan.owner: running for running in self._running_on(tp)}
            for owner, run in list(source.runs.items()):
                if owner not in running_here or running_here[owner].plan.run != run.plan.run:
                    del source.runs[owner]
            for owner, running in running_here.items():
                if owner not in source.runs:
                    start = running.start_of(tp.topic, tp.partition) or 0
                    source.runs[owner] = self._new_run(tp, running, start)
                    self._join_or_catch_up(source, source.runs[owner])
        alive = {(running.plan.owner, running.plan.run) for running in self._detectors.running.values()}
        for key in self._entities.keys() - alive:
            del self._entities[key]
        self._build_decoders()

    def _build_decoders(self) -> None:
        plans: dict[str, dict[str, Plan]] = defaultdict(dict)
        for source in self._sources.values():
            for owner, run in source.runs.items():
                plans[source.topic][owner] = run.plan
        self._decoders = {
            topic: self._decoders[topic]
            if topic in self._decoders and self._decoders[topic].plans == list(owners.values())
            else self._new_decoder(list(owners.values()))
            for topic, owners in plans.items()
        }

    def _new_decoder(self, plans: list[Plan]) -> Decoder:
        tables = [self._entities[plan.owner, plan.run] for plan in plans]
        return Decoder(plans, tables, max_ahead_ms=int(self._settings.max_ahead * 1000))

    def position(self, tp: TP) -> int | None:
        """The next offset that is expected."""
        source = self._sources.get(tp)
        return None if source is None else source.offset

    # -- records ----------------------------------------------------------------------------------------------

    async def records_arrived(self, tp: TP, records: Sequence[Any]) -> None:
        """Fold one fetch of a partition in."""
        source = self._sources.get(tp)
        if source is None or records[-1].offset < source.offset:
            return
        async with source.lock:
            records = [record for record in records if record.offset >= source.offset]
            next_offset = records[-1].offset + 1
            runs = [run for run in source.runs.values() if run.joined and run.windows.offset < next_offset]
            await self._fold(source, runs, records, next_offset)
            source.offset = next_offset
            self.records += len(records)

    async def _fold_one(self, source: Source, run: RunSource, records: Sequence[Any], next_offset: int) -> None:
        await self._fold(source, [run], records, next_offset)

    async def _fold(self, source: Source, runs: list[RunSource], records: Sequence[Any], next_offset: int) -> None:
        if not runs:
            return
        decoder = self._decoders[source.topic]
        now = int(time.time() * 1000)
        # Only for these: a run that catches up must not dead-letter the records of all others once more.
        owners = {run.plan.owner for run in runs}
        decoded = decoder.decode(source.topic, source.partition, records, owners=owners)
        for letter in decoded.dead_letters:
            await self._dead_letters.send(letter)
        for run in runs:
            batch = run.fold(decoded.batches[run.plan.owner], next_offset)
            if run.windows.clock is not None and len(batch.times):
                run.clock.observe(run.windows.clock, now, records[-1].timestamp)
            await self._say(source, run, run.windows.close(), idle=False if len(batch.times) else run.said_idle)

    async def _say(self, source: Source, run: RunSource, closed: Sequence[Closed], *, idle: bool) -> None:
        topic = self._settings.topic("partials")
        said = run.partials(source.topic, source.partition, closed, idle=idle, max_bytes=self._settings.record_bytes)
        for target, partial in said:
            await self._outbox.send(topic, encode_partial(partial), partition=target)

    # -- time -------------------------------------------------------------------------------------------------

    async def tick(self) -> None:
        """Let the clocks of quiet sources go on, and close what is due."""
        for tp, source in list(self._sources.items()):
            if source.lock.locked():
                continue
            async with source.lock:
                now = int(time.time() * 1000)
                confirmed = self._at_end(tp, source.offset)
                at_end = confirmed is not None and time.monotonic() - confirmed < FRESH
                for run in list(source.runs.values()):
                    if run.joined:
                        await self._tick(source, run, now, at_end)

    async def _tick(self, source: Source, run: RunSource, now: int, at_end: bool) -> None:
        if not at_end:
            return
        tick = run.clock.at(now, run.plan.interval_ms, run.plan.delay_ms)
        closed: Sequence[Closed] = ()
        if tick.close_open:
            closed = run.windows.close_all()
        elif tick.clock is not None and (run.windows.clock is None or tick.clock > run.windows.clock):
            run.windows.advance(tick.clock)
            closed = run.windows.close()
        await self._say(source, run, closed, idle=tick.idle)

    # -- checkpoints ------------------------------------------------------------------------------------------

    async def checkpoint(self) -> None:
        """Checkpoint every source that has moved, and mark it safe."""
        moved = [
            (tp, source)
            for tp, source in self._sources.items()
            if source.offset != source.checkpointed or any(not run.joined for run in source.runs.values())
        ]
        snapshots = []
        for tp, source in moved:
            async with source.lock:
                snapshots.append((tp, source, source.offset, source.snapshot(self._settings.record_bytes)))
        # What had closed before the snapshot must have arrived first: after a crash nobody would say it again.
        await self._outbox.barrier()
        for _, _, _, records in snapshots:
            for key, checkpoint in records:
                await self._outbox.send(self._settings.topic("windows"), encode(checkpoint), key=key)
        await self._outbox.barrier()
        for tp, source, offset, _ in snapshots:
            source.checkpointed = offset
            if self._sources.get(tp) is source:
                self._ledger.mark(tp, offset)

    @property
    def sources(self) -> list[Source]:
        """The partitions that this worker reads."""
        return list(self._sources.values())


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
