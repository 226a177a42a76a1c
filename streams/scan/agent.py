"""The scan agent: each record of the topic ``scans`` becomes a read in the background, beside the live work.

An offset of ``scans`` is safe when every scan before it is done, or is of a task that has ended. A worker that takes
over a partition does again what was under way there, from the checkpoints on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import structlog
from confluent_kafka import KafkaException

from schemas.command import Failed, encode_event
from schemas.errors import UNREADABLE, RiverwatchError
from schemas.scan import Scan, decode_scan
from streams.dead_letters import DeadLetters
from streams.detectors import Detectors
from streams.fencing.shares import ShareLost, Shares
from streams.kafka.clock import KafkaClock
from streams.kafka.outbox import DeliveryFailed, Outbox
from streams.kafka.tp import TP
from streams.running import Running
from streams.scan.reader import Reading, TopicGone
from streams.scan.work import ScanCounts, ScanWork
from streams.schema_registry.supply import SchemaSupply
from streams.settings import Settings
from streams.transport.ledger import Ledger

log = structlog.get_logger()

PATIENCE = 0.02
"""Seconds between two looks at what a scan waits for: its task, its turn."""


class Scans:
    """All scans of this worker. ``busy`` says that the scorer has more windows to score than it should keep."""

    def __init__(
        self,
        settings: Settings,
        detectors: Detectors,
        outbox: Outbox,
        ledger: Ledger,
        *,
        clock: KafkaClock,
        open_reader: Callable[[Scan, int], Reading],
        shares: Shares,
        schemas: SchemaSupply,
        dead_letters: DeadLetters,
        busy: Callable[[], bool],
        failed: Callable[[BaseException], None],
    ) -> None:
        self._settings = settings
        self._detectors = detectors
        self._outbox = outbox
        self._ledger = ledger
        self._dead_letters = dead_letters
        self._clock = clock
        self._open_reader = open_reader
        self._shares = shares
        self._schemas = schemas
        self._busy = busy
        self._failed = failed
        self._positions: dict[TP, int] = {}
        self._under_way: dict[TP, dict[int, asyncio.Task[None]]] = {}
        self._wanting: dict[asyncio.Task[None] | None, tuple[int, str]] = {}
        self._claimed: set[str] = set()
        self._work: dict[str, ScanWork] = {}
        self._slice = asyncio.Lock()
        self.counts = ScanCounts()

    async def assigned(self, committed: Mapping[TP, int | None]) -> dict[TP, int]:
        """The partitions of ``scans`` that are ours from now on: where to begin reading."""
        for tp in self._positions.keys() - committed.keys():
            self._drop(tp)
        for tp, offset in committed.items():
            if tp in self._positions and (offset or 0) > self._positions[tp]:
                self._drop(tp)
            self._positions.setdefault(tp, offset or 0)
            self._under_way.setdefault(tp, {})
        return {tp: self._positions[tp] for tp in committed}

    def _drop(self, tp: TP) -> None:
        self._positions.pop(tp, None)
        self._ledger.forget(tp)
        for task in self._under_way.pop(tp, {}).values():
            task.cancel()

    def position(self, tp: TP) -> int | None:
        """The next offset that is expected."""
        return self._positions.get(tp)

    async def records_arrived(self, tp: TP, records: Sequence[Any]) -> None:
        """Begin the scans of one fetch."""
        if tp not in self._positions:
            return
        for record in records:
            if record.offset < self._positions[tp]:
                continue
            if record.value is not None:
                await self._begin(tp, record)
            self._positions[tp] = record.offset + 1
        self._mark(tp)

    async def _begin(self, tp: TP, record: Any) -> None:
        try:
            scan = decode_scan(record.value)
        except UNREADABLE as error:
            await self._dead_letters.reject(tp, record, "unreadable-record", str(error))
            return
        task = asyncio.create_task(self._do(scan))
        self._under_way[tp][record.offset] = task

        def ended(_: asyncio.Task[None]) -> None:
            if task.cancelled() or task.exception() is not None:
                return  # whoever has the partition next must find it again
            if tp in self._under_way and self._under_way[tp].get(record.offset) is task:
                del self._under_way[tp][record.offset]
                self._mark(tp)

        task.add_done_callback(ended)

    def _mark(self, tp: TP) -> None:
        self._ledger.mark(tp, min([self._positions[tp], *self._under_way[tp]]))

    # -- one scan ---------------------------------------------------------------------------------------------

    async def _do(self, scan: Scan) -> None:
        try:
            running = await self._turn(scan)
            if running is None:
                return
            self._claimed.add(scan.key)
            try:
                await self._work_off(scan, running)
            finally:
                self._claimed.discard(scan.key)
                self._work.pop(scan.key, None)
        except asyncio.CancelledError:
            raise
        except (DeliveryFailed, ShareLost) as error:
            self._failed(error)
            raise
        except Exception as error:
            # An analysis that can't go on must not take the worker with it: it ends, and says why.
            self.counts.failed.add(scan.task_id)
            log.error("scan failed", scan=scan.key, error=repr(error), exc_info=error)
            reason = str(error) if isinstance(error, RiverwatchError | KafkaException) else repr(error)
            event = Failed(detector_id=scan.detector_id, task_id=scan.task_id, error=reason)
            await self._outbox.send(self._settings.topic("control"), encode_event(event), key=scan.detector_id)
            await self._outbox.barrier()
        finally:
            self._wanting.pop(asyncio.current_task(), None)

    async def _work_off(self, scan: Scan, running: Running) -> None:
        self.counts.begun.add(scan.task_id)
        share = (await self._shares.take_over([scan.key]))[scan.key]
        work = self._work[scan.key] = ScanWork(
            self._settings,
            self._outbox,
            scan,
            running,
            dead_letters=self._dead_letters,
            monotonic=self._clock.monotonic,
            open_reader=self._open_reader,
            shares=self._shares,
            schemas=self._schemas,
            share=share,
            live=lambda: scan.task_id in self._detectors.analyses,
            busy=self._busy,
            others=lambda: self._of_task(scan.task_id),
            turn=self._slice,
        )
        log.info("scan begins", scan=scan.key, offset=work.restore(), end=scan.end_offset)
        try:
            done = await work.run()
        except (TopicGone, KafkaException):
            await self._shares.give_back(share)
            raise
        await self._shares.give_back(share)
        if not done:
            self.counts.cancelled.add(scan.task_id)
        log.info("scan done" if done else "scan cancelled", scan=scan.key, records=work.records)

    async def _turn(self, scan: Scan) -> Running | None:
        """Wait for the task to be known here and to be among the oldest ones; None when it has ended."""
        while True:
            running = self._detectors.analyses.get(scan.task_id)
            if running is None:
                if self._detectors.has_ended(scan.task_id, scan.run):
                    return None
            else:
                self._wanting[asyncio.current_task()] = (running.plan.run, scan.task_id)
                oldest = sorted(set(self._wanting.values()))[: self._settings.max_historical_tasks_per_worker]
                # One of the same name that was cancelled, since its partition had gone, may still be closing.
                if (running.plan.run, scan.task_id) in oldest and scan.key not in self._claimed:
                    return running
            await asyncio.sleep(PATIENCE)

    def _of_task(self, task_id: str) -> Iterator[ScanWork]:
        return (work for work in self._work.values() if work.scan.task_id == task_id)

    @property
    def under_way(self) -> Iterable[ScanWork]:
        """The scans that this worker reads now."""
        return list(self._work.values())

    async def stop(self) -> None:
        """End all scans where they are; the next worker goes on from their checkpoints."""
        tasks = [task for under_way in self._under_way.values() for task in under_way.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
