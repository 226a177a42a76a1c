"""One scan under way: slices of records in, closed windows out, until its end offset, its cancellation or its failure.

After a crash it begins again at its last checkpoint (topic ``windows``), and what it says twice changes nothing: the
scorer counts the first word of a source on a window, and however the records were cut, the windows are the same.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog

from schemas.command import ScanProgress, encode_event
from schemas.errors import UNREADABLE
from schemas.partial import encode_partial
from schemas.scan import Scan, decode_checkpoint, encode_checkpoint
from streams.dead_letters import DeadLetters
from streams.fencing.share import Share
from streams.fencing.shares import Shares
from streams.ingest.decode import Decoder
from streams.ingest.entities import EntityTable
from streams.ingest.windows import Closed
from streams.kafka.outbox import Outbox
from streams.running import Running
from streams.scan.range import RangeWindows
from streams.scan.reader import Reading
from streams.schema_registry.supply import SchemaSupply
from streams.settings import Settings

log = structlog.get_logger()

AHEAD = 100
"""Windows that a scan may be ahead of the slowest one of its task on this worker: the scorer keeps them till then."""

CHECKPOINT = "0"
"""The name of a scan's checkpoint in its share."""

QUIET = 2.0
"""Seconds without a record after which a scan looks whether its topic is still there."""


@dataclass
class ScanCounts:
    """The tasks that this process has had a part in since it began, as the stats routes count them."""

    begun: set[str] = field(default_factory=set)
    cancelled: set[str] = field(default_factory=set)
    failed: set[str] = field(default_factory=set)


class ScanWork:
    """Does one scan. ``clock`` is the event time reached, None before the first record."""

    def __init__(
        self,
        settings: Settings,
        outbox: Outbox,
        scan: Scan,
        running: Running,
        *,
        dead_letters: DeadLetters,
        monotonic: Callable[[], float],
        open_reader: Callable[[Scan, int], Reading],
        shares: Shares,
        schemas: SchemaSupply,
        share: Share,
        live: Callable[[], bool],
        busy: Callable[[], bool],
        others: Callable[[], Iterable[ScanWork]],
        turn: asyncio.Lock,
    ) -> None:
        self._settings = settings
        self._outbox = outbox
        self.scan = scan
        self._dead_letters = dead_letters
        self._monotonic = monotonic
        self._open_reader = open_reader
        self._shares = shares
        self._schemas = schemas
        self._share = share
        self._live = live
        self._busy = busy
        self._others = others
        self._turn = turn
        plan = running.plan
        table = EntityTable(plan)
        self._range = RangeWindows(plan, table, scan.offset, scan.start_time, scan.end_time)
        max_ahead_ms = int(settings.max_ahead * 1000)
        self._decoder = Decoder([plan], [table], max_ahead_ms=max_ahead_ms, schemas=schemas.known)
        self._missing = ""
        self._told = 0.0
        self._checkpointed = monotonic()
        self.records = 0

    @property
    def clock(self) -> int | None:
        """The event time reached."""
        return self._range.windows.watermark.time

    def restore(self) -> int:
        """Begin where the checkpoint was taken that the scan's share has; the offset at which reading begins."""
        stored = self._share.held.get(CHECKPOINT)
        if stored is not None and stored.value is not None:
            try:
                self._range.restore(decode_checkpoint(stored.value))
            except UNREADABLE as error:
                log.error("scan checkpoint not readable, the scan begins anew", scan=self.scan.key, error=str(error))
        self._share.forget_values()
        return self._range.offset

    async def run(self) -> bool:
        """True when everything has been read, said and confirmed; False when the task has ended meanwhile.

        Raises ``TopicGone``, ``KafkaException`` or ``DeliveryFailed``.
        """
        scan = self.scan
        reader = self._open_reader(scan, self._range.offset)
        try:
            done = await self._read(reader)
        finally:
            await asyncio.to_thread(reader.close)
        if done:
            await self._finish()
            await self._outbox.barrier()
            await self._tell(done=True)
            # Once this has returned the scan is safe to commit: nobody would tell it again.
            await self._outbox.barrier()
        return done

    async def _read(self, reader: Reading) -> bool:
        heard = self._monotonic()
        looked = False
        while not reader.ended:
            if not self._live():
                return False
            if not looked:
                looked = await asyncio.to_thread(reader.look)
            if self._busy() or self._ahead():
                await asyncio.sleep(0.01)
                continue
            records = await asyncio.to_thread(reader.read, self._settings.scan_slice, 0.2)
            if records:
                # Live work waits for one slice between two of its steps, not for one of each scan.
                async with self._turn:
                    await self._take(reader, records)
                    await asyncio.sleep(0)
                heard = self._monotonic()
            elif self._monotonic() - heard > QUIET:
                looked, heard = False, self._monotonic()
            self._range.windows.skip_to(min(reader.position, self.scan.end_offset))
            await self._tell_now_and_then()
        # What was fetched ahead is read to its end after a deletion, too: the outcome must not depend on luck.
        while self._live():
            if await asyncio.to_thread(reader.look):
                self._missing = self._lacks(reader)
                return True
            await asyncio.sleep(0.2)
        return False

    def _ahead(self) -> bool:
        """Whether another scan of this task has to come along first. The slowest one never waits."""
        clock = self.clock
        clocks = [other.clock for other in self._others() if other is not self]
        if clock is None or not clocks:
            return False
        interval = self._range.plan.interval_ms
        return any(other is None or other + AHEAD * interval < clock for other in clocks)

    async def _take(self, reader: Reading, records: Sequence[Any]) -> None:
        scan = self.scan
        decoded = await self._schemas.supplied(lambda: self._decoder.decode(scan.topic, scan.partition, records))
        for letter in decoded.dead_letters:
            await self._dead_letters.send(letter)
        closed = self._range.fold(decoded.batches[self._range.plan.owner], records[-1].offset + 1)
        self.records += len(records)
        # A record that comes later may be older: what is missing is known at the end only.
        self._missing = self._lacks(reader)
        if closed:
            await self._say(closed, finished=False)

    def _lacks(self, reader: Reading) -> str:
        """What the topic no longer holds of the range, in words."""
        name, begun = f"{self.scan.topic}-{self.scan.partition}", self._range.first
        lost = [f"offsets {first} to {after - 1} of {name} were deleted unread" for first, after in self._lost(reader)]
        cut_off = reader.low > 0 and self.scan.offset <= reader.low
        if cut_off and begun is not None and begun > self._range.start:
            lost.insert(0, f"{name} no longer holds records before {_utc(begun)}")
        return "; ".join(lost)

    def _lost(self, reader: Reading) -> list[tuple[int, int]]:
        end = self.scan.end_offset
        return [(first, min(after, end)) for first, after in reader.lost if first < end]

    async def _finish(self) -> None:
        await self._say(self._range.finish(), finished=True)

    async def _say(self, closed: Sequence[Closed], *, finished: bool) -> None:
        said = self._range.partials(
            self.scan.topic,
            self.scan.partition,
            closed,
            epoch=self._share.epoch,
            finished=finished,
            max_bytes=self._settings.record_bytes,
        )
        for target, partial in said:
            await self._outbox.send(self._settings.topic("partials"), encode_partial(partial), partition=target)

    # -- progress ---------------------------------------------------------------------------------------------

    async def _tell_now_and_then(self) -> None:
        now = self._monotonic()
        if now - self._told < self._settings.statistics_interval:
            return
        self._told = now
        if now - self._checkpointed >= self._settings.source_checkpoint_interval:
            self._checkpointed = now
            await self._checkpoint()
        await self._tell(done=False)

    async def _checkpoint(self) -> None:
        value = encode_checkpoint(self._range.snapshot())
        if len(value) > self._settings.record_bytes:
            # A range out of order with a long window_delay: rather read again than write all of it every few seconds.
            log.info("open windows too many for a checkpoint", scan=self.scan.key, bytes=len(value))
            return
        # What had closed before must have arrived first: after a crash nobody would say it again.
        await self._outbox.barrier()
        await self._shares.write(self._share.write(CHECKPOINT, value))

    async def _tell(self, *, done: bool) -> None:
        scan, windows = self.scan, self._range.windows
        event = ScanProgress(
            detector_id=scan.detector_id,
            task_id=scan.task_id,
            topic=scan.topic,
            partition=scan.partition,
            offset=scan.end_offset if done else windows.offset,
            records=windows.records,
            current=windows.watermark.time,
            done=done,
            node_id=self._settings.node_id,
            missing=self._missing,
            late=windows.late,
        )
        await self._outbox.send(self._settings.topic("control"), encode_event(event), key=scan.detector_id)


def _utc(epoch_ms: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(epoch_ms / 1000))
