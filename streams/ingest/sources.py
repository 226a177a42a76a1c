"""All data partitions of a worker: which records lead to which dead letters, partials and checkpoints.

Without I/O: the agent reads and writes, a simulation does so in memory. Times named ``now`` are
Kafka's clock in epoch ms.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog

from schemas.checkpoint import RunCheckpoint
from schemas.deadletter import DeadLetter
from schemas.partial import Partial
from streams.features.plan import Plan
from streams.fencing.fence import Record
from streams.fencing.share import Share
from streams.formats.written_schema import KnownSchemas
from streams.ingest.decode import Decoder
from streams.ingest.entities import EntityTable
from streams.ingest.quiet import MOST_LAG_MS, QuietClock
from streams.ingest.source import RunSource, Source
from streams.ingest.store import records_of, stored_in
from streams.ingest.windows import Closed, RunWindows
from streams.kafka.extent import Extent, is_another
from streams.kafka.tp import TP
from streams.running import Running
from streams.settings import Settings

log = structlog.get_logger()

NEW_MS = 1_000
"""Records that come so soon after their source was at its end have just been appended: their lag is the producers'."""


def _read_up_to(now: int, known: int | None) -> int:
    """Up to when a source is certainly read, where it is known for a time: a worker that was paused in the wait after
    an outage finds the end of the wait passed, and what producers sent meanwhile still unread."""
    return now - MOST_LAG_MS if known is None else max(known, now - MOST_LAG_MS)


@dataclass
class Emission:
    """What is to be written, in this order; a partial goes to the model partition that stands before it."""

    dead_letters: list[DeadLetter] = field(default_factory=list)
    partials: list[tuple[int, Partial]] = field(default_factory=list)


@dataclass(frozen=True)
class Slice:
    """What was read of a partition for a run that catches up.

    ``position`` is the reader's next offset: compaction and transactions leave no record right before an offset, and
    the position says that it was passed. ``lost`` are offsets, first and next, that were deleted before they were read.
    """

    records: Sequence[Any]
    position: int
    lost: Sequence[tuple[int, int]] = ()


@dataclass(frozen=True)
class Snapshot:
    """A source at an offset: the records of its checkpoint, to be written in this order."""

    source: Source
    offset: int
    records: Sequence[Record]


class Sources:
    """The sources that are ours, in ``held``; ``running`` gives what runs now.

    The state of a source at offset O is exactly the fold of its records before O.
    """

    def __init__(
        self, settings: Settings, running: Callable[[], Iterable[Running]], schemas: KnownSchemas | None = None
    ) -> None:
        self._settings = settings
        self._idle_timeout_ms = int(settings.idle_timeout * 1000)
        self._outage_grace_ms = int(settings.outage_grace * 1000)
        self._running = running
        self._schemas = schemas or KnownSchemas()
        self._entities: dict[tuple[str, int], EntityTable] = {}
        self._decoders: dict[str, Decoder] = {}
        self._decoders_current = True
        self.held: dict[TP, Source] = {}

    # -- which sources are ours -------------------------------------------------------------------------------

    def leaving(self, committed: Mapping[TP, int | None]) -> list[Source]:
        """The sources to give up when these partitions, given with their committed offsets, are ours.

        One that we hold already goes on where it is, unless somebody else has been further meanwhile.
        """
        return [
            source for tp, source in self.held.items() if tp not in committed or (committed[tp] or 0) > source.offset
        ]

    def give_up(self, source: Source) -> Snapshot:
        """Give a source up; its last checkpoint spares the next owner what we have read.

        Of a topic that was deleted nobody could read it again. If there is a next owner already, it counts no more.
        """
        snapshot = self.snapshot(source)
        del self.held[TP(source.topic, source.partition)]
        # Whatever still works on the source finds no run any more, and ends.
        source.runs.clear()
        return snapshot

    def restore(self, tp: TP, committed: int | None, share: Share, extent: Extent, now: int) -> Source:
        """Hold a source from now on: as its share has it, or from where its runs begin."""
        source = Source(tp.topic, tp.partition, 0, share, extent.topic_id)
        states: dict[tuple[str, int], RunCheckpoint] = {}
        stored = stored_in(share)
        share.forget_values()
        if stored is not None:
            source.offset, source.number = stored.offset, stored.number
            states = {(run.owner, run.run): run for run in stored.runs}
        matched = False
        for running in self._running_on(tp):
            run = self._new_run(source, running, extent, now)
            state = states.get((running.plan.owner, running.plan.run))
            if state is not None:
                matched = True
                run.restore(state)
                if state.watermark.time is not None:
                    run.quiet.observe(state.watermark.time, now)
            source.runs[running.plan.owner] = run
        if stored is not None and (is_another(stored.topic_id, extent.topic_id) or stored.offset > extent.high):
            self._begin_anew(source)
        elif source.runs and not matched:
            source.offset = min(run.windows.offset for run in source.runs.values())
        elif not source.runs:
            source.offset = max(committed or 0, source.offset) or extent.high
        self.lose(source, 0, extent.low)
        self._join(source)
        self.held[tp] = source
        self._decoders_current = False
        log.info("source begins", topic=tp.topic, partition=tp.partition, offset=source.offset, end=extent.high)
        return source

    def announce(self) -> None:
        """Model partitions may have new owners: emit again how far each source is.

        They read the partials from where the owners before them were safe. A source that is quiet since then would
        hold back every window of theirs, since they would never hear of it.
        """
        for source in self.held.values():
            for run in source.runs.values():
                run.announced = False

    def made_anew(self, source: Source, topic_id: str) -> None:
        """The topic of a source was deleted and made anew: its first records come next."""
        if topic_id != source.topic_id:
            source.topic_id = topic_id
            self._begin_anew(source)

    @staticmethod
    def _begin_anew(source: Source) -> None:
        log.warning("topic was made anew, reading from its beginning", topic=source.topic, partition=source.partition)
        source.offset = 0
        for run in source.runs.values():
            # The open windows stay: what had been read of them was there.
            run.begin_anew(f"topic {source.topic} was deleted and made anew; it is read from its beginning")

    @staticmethod
    def lose(source: Source, begin: int, end: int) -> None:
        """The offsets from ``begin`` to before ``end`` were deleted by retention before they were read."""
        for run in source.runs.values():
            run.lose(begin, end)
        source.offset = max(source.offset, end)

    def _running_on(self, tp: TP) -> list[Running]:
        return [running for running in self._running() if running.start_of(tp.topic, tp.partition) is not None]

    def _new_run(self, source: Source, running: Running, extent: Extent | None, now: int) -> RunSource:
        plan, topic, partition = running.plan, source.topic, source.partition
        table = self._entities.setdefault((plan.owner, plan.run), EntityTable(plan))
        quiet = QuietClock(
            now,
            tick_grace_ms=int(self._settings.tick_grace * 1000),
            idle_timeout_ms=self._idle_timeout_ms,
            start_timeout_ms=int(self._settings.start_timeout * 1000),
        )
        start, past = running.start_of(topic, partition) or 0, running.past_of(topic, partition)
        if is_another(running.run.topic_ids.get(topic, ""), source.topic_id):
            start, past = 0, None
        if extent is not None:
            start = min(start, extent.high)
        run = RunSource(RunWindows(plan, table, start), quiet, joined=False, past=past)
        end = source.offset if extent is None else extent.high
        if partition in running.run.added.get(topic, ()) and end > start:
            run.note = (
                f"partition {partition} of topic {topic} had records when it was found: "
                "those of windows that had been scored by then do not count"
            )
        return run

    @staticmethod
    def _join(source: Source) -> None:
        for run in source.runs.values():
            run.joined = run.joined or run.windows.offset >= source.offset

    # -- what runs --------------------------------------------------------------------------------------------

    def refresh(self, now: int) -> None:
        """Begin new runs on the sources that are ours, end what no longer runs."""
        for tp, source in self.held.items():
            running_here = {running.plan.owner: running for running in self._running_on(tp)}
            for owner, run in list(source.runs.items()):
                if owner not in running_here or running_here[owner].plan.run != run.plan.run:
                    del source.runs[owner]
            for owner, running in running_here.items():
                if owner not in source.runs:
                    source.runs[owner] = self._new_run(source, running, None, now)
            self._join(source)
        alive = {(running.plan.owner, running.plan.run) for running in self._running()}
        for key in self._entities.keys() - alive:
            del self._entities[key]
        self._decoders_current = False

    def outdated(self) -> list[TP]:
        """The sources whose runs know another topic of this name than the one that is read."""
        return [
            tp
            for tp, source in self.held.items()
            if any(
                is_another(running.run.topic_ids.get(tp.topic, ""), source.topic_id) for running in self._running_on(tp)
            )
        ]

    def behind(self) -> Iterator[tuple[Source, RunSource]]:
        """The runs that lack records which their sources have read already."""
        for source in self.held.values():
            yield from ((source, run) for run in source.runs.values() if not run.joined)

    def _decoder(self, topic: str) -> Decoder:
        if not self._decoders_current:
            self._decoders_current = True
            self._build_decoders()
        return self._decoders[topic]

    def _build_decoders(self) -> None:
        plans: dict[str, dict[str, Plan]] = defaultdict(dict)
        for source in self.held.values():
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
        max_ahead_ms = int(self._settings.max_ahead * 1000)
        return Decoder(plans, tables, max_ahead_ms=max_ahead_ms, schemas=self._schemas)

    # -- records ----------------------------------------------------------------------------------------------

    def fold(self, source: Source, records: Sequence[Any], now: int) -> Emission:
        """Take in one fetch of a source; what was taken in before is skipped.

        Raises ``SchemasWanted``, and has changed nothing then; so does ``catch_up``.
        """
        records = [record for record in records if record.offset >= source.offset]
        if not records:
            return Emission()
        next_offset = records[-1].offset + 1
        runs = [run for run in source.runs.values() if run.joined and run.windows.offset < next_offset]
        emission = self._fold(source, runs, records, next_offset, now)
        source.offset = next_offset
        return emission

    def catch_up(self, source: Source, run: RunSource, read: Slice, now: int) -> Emission:
        """Take in records that a run lacks; it joins its source when it has come as far."""
        emission = Emission()
        # It may have ended while these were read, or joined since its topic was made anew.
        if not source.has(run) or run.joined:
            return emission
        for begin, end in read.lost:
            run.lose(begin, min(end, source.offset))
        records = [record for record in read.records if run.windows.offset <= record.offset < source.offset]
        if records:
            emission = self._fold(source, [run], records, records[-1].offset + 1, now)
        if run.windows.offset >= source.offset or read.position >= source.offset:
            run.windows.skip_to(source.offset)
            run.joined = True
            log.info(
                "run has caught up",
                run=run.plan.owner,
                topic=source.topic,
                partition=source.partition,
                offset=source.offset,
            )
        return emission

    def _fold(
        self, source: Source, runs: list[RunSource], records: Sequence[Any], next_offset: int, now: int
    ) -> Emission:
        emission = Emission()
        if not runs:
            return emission
        decoder = self._decoder(source.topic)
        # Only for these: a run that catches up must not dead-letter the records of all others once more.
        owners = {run.plan.owner for run in runs}
        decoded = decoder.decode(source.topic, source.partition, records, owners=owners)
        emission.dead_letters += decoded.dead_letters
        for run in runs:
            run.dead_letters.update(each.reason for each in decoded.dead_letters if each.concerns(run.plan.owner))
            run.counts.update(decoded.counts[run.plan.owner])
            watermark = run.windows.watermark
            watermark.release(_read_up_to(now, min(records[0].timestamp, now)))
            batch = run.fold(decoded.batches[run.plan.owner], next_offset)
            newest = watermark.newest(now + MOST_LAG_MS)
            if newest is not None and len(batch.times):
                run.quiet.observe(newest, now, records[-1].timestamp)
                if run.joined and source.confirmed is not None and now - source.confirmed <= NEW_MS:
                    watermark.lagged(now - batch.times)
            self._emit(source, run, run.windows.close(), emission, idle=not len(batch.times) and run.idle)
        return emission

    def _emit(
        self, source: Source, run: RunSource, closed: Sequence[Closed], emission: Emission, *, idle: bool
    ) -> None:
        emission.partials += run.partials(source, closed, idle=idle, max_bytes=self._settings.record_bytes)

    # -- time -------------------------------------------------------------------------------------------------

    def hold(self, source: Source, began: int, ended: int) -> None:
        """Kafka did not answer between these times: close nothing until producers have sent what they held back."""
        until = ended + min(self._outage_grace_ms, ended - began + 1_000)
        for run in source.runs.values():
            run.hold(began, ended, until)

    def tick(self, source: Source, now: int, confirmed: int | None) -> Emission:
        """Let the watermarks of a quiet source go on, and close what is due.

        ``confirmed`` is when Kafka has just confirmed that the source is read to its end; None when it has not.
        """
        emission = Emission()
        source.confirmed = confirmed
        source.at_end(now, confirmed is not None, self._idle_timeout_ms)
        for run in source.runs.values():
            watermark = run.windows.watermark
            if watermark.release(_read_up_to(now, confirmed)):
                self._emit(source, run, run.windows.close(), emission, idle=run.idle)
            if run.joined and confirmed is not None and watermark.held_until is None:
                self._tick(source, run, confirmed, emission)
            elif not run.announced or (run.said is not None and run.said.caught_up and not source.caught_up):
                self._emit(source, run, (), emission, idle=run.idle)
        return emission

    def _tick(self, source: Source, run: RunSource, confirmed: int, emission: Emission) -> None:
        watermark = run.windows.watermark
        tick = run.quiet.at(confirmed, run.plan.interval_ms, run.tolerance_ms, watermark.quiet_delay)
        closed: Sequence[Closed] = ()
        if tick.close_open:
            closed = run.windows.close_all()
        elif tick.watermark is not None and (watermark.time is None or tick.watermark > watermark.time):
            watermark.advance(tick.watermark)
            closed = run.windows.close()
        self._emit(source, run, closed, emission, idle=tick.idle)

    # -- checkpoints ------------------------------------------------------------------------------------------

    def moved(self) -> list[Source]:
        """The sources whose state is not the one that was checkpointed last."""
        return [
            source
            for source in self.held.values()
            if source.offset != source.checkpointed or any(not run.joined for run in source.runs.values())
        ]

    def snapshot(self, source: Source) -> Snapshot:
        """A checkpoint of a source as it is now."""
        checkpoints = source.snapshot(self._settings.record_bytes)
        return Snapshot(source, source.offset, records_of(source.share, checkpoints))

    def confirm(self, snapshot: Snapshot) -> int | None:
        """The records of a snapshot have arrived: the offset that is safe now, None if the source is not ours."""
        source = snapshot.source
        source.checkpointed = snapshot.offset
        ours = self.held.get(TP(source.topic, source.partition)) is source
        return snapshot.offset if ours else None
