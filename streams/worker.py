"""A worker: one process, one Faust app, four agents, and the loops that keep them going."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn

import structlog
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from streams.coordinate.agent import Coordinate
from streams.coordinate.kafka_journal import KafkaJournal
from streams.coordinate.kafka_topics import KafkaTopics
from streams.dead_letters import DeadLetters
from streams.detectors import Detectors
from streams.fencing.shares import Shares
from streams.forest import ForestBank, open_bank
from streams.forest.kernel import choose
from streams.ingest.agent import Ingest
from streams.kafka.clock import KafkaClock
from streams.kafka.follower import Followed, Follower, KafkaRecord
from streams.kafka.log import KafkaLog
from streams.kafka.outages import Outage
from streams.kafka.outbox import Outbox
from streams.kafka.partitions import Partitions
from streams.kafka.tp import TP
from streams.kafka.unreadable import Unreadable
from streams.scan.agent import Scans
from streams.scan.reader import ScanReader
from streams.schema_registry.supply import SchemaSupply
from streams.score.agent import Score
from streams.settings import Settings
from streams.statistics import Statistics
from streams.transport import Ledger
from streams.transport.app import App

log = structlog.get_logger()

TICK = 0.05
"""Seconds between two looks at the clocks of quiet sources: well below the shortest interval of 1 s."""

FORGET_SECONDS = 5.0
"""Between two looks for models that nobody needs any more."""

RESTART = 75
"""Exit code after a failure that a new start mends."""


class Worker:
    """Everything of one worker, wired together. ``run`` returns when it has been told to stop, or has failed."""

    def __init__(self, settings: Settings, clock: KafkaClock) -> None:
        self._settings = settings
        self._clock = clock
        self._stop: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._ledger = Ledger()
        self._outbox = Outbox(settings.client(), linger_ms=settings.linger_ms, compression=settings.compression)
        self._detectors = Detectors(settings)
        dead_letters = DeadLetters(settings, self._outbox)
        kafka = KafkaLog(settings.client())
        shares = Shares(settings, self._outbox, kafka, "windows", generation=self._generation)
        schemas = SchemaSupply(settings.schema_registry)
        self._ingest = Ingest(
            settings,
            self._detectors,
            self._outbox,
            self._ledger,
            self,
            kafka=kafka,
            clock=clock,
            shares=shares,
            schemas=schemas,
            dead_letters=dead_letters,
            failed=self.fail,
        )
        self._score = Score(
            settings,
            self._detectors,
            self._outbox,
            self._ledger,
            clock=clock,
            open_shares=lambda number: Shares(
                settings, self._outbox, kafka, "checkpoints", number, generation=self._generation
            ),
            dead_letters=dead_letters,
            failed=self.fail,
        )
        self._unreadable = Unreadable()
        self._coordinate = Coordinate(
            settings,
            KafkaJournal(settings),
            self._outbox,
            self._ledger,
            clock=clock,
            topics=KafkaTopics(settings),
            dead_letters=dead_letters,
            unreadable=self._unreadable,
        )
        self._scans = Scans(
            settings,
            self._detectors,
            self._outbox,
            self._ledger,
            clock=clock,
            open_reader=functools.partial(ScanReader, settings, Partitions(settings.client())),
            shares=shares,
            schemas=schemas,
            dead_letters=dead_letters,
            busy=self._score.busy,
            failed=self.fail,
        )
        self._statistics = Statistics(
            settings,
            self._detectors,
            self._outbox,
            self._ingest,
            self._score,
            self._scans,
            dead_letters,
            self._unreadable,
            clock,
        )
        self._app: App | None = None

    def _generation(self) -> int:
        return -1 if self._app is None else self._app.generation

    def at_end(self, tp: TP, offset: int) -> float | None:
        """When Kafka last confirmed that nothing follows ``offset``: see ``App``, which comes later than the agents."""
        return None if self._app is None else self._app.at_end(tp, offset)

    def outage(self, tp: TP) -> Outage | None:
        """Kafka's latest outage, as far as this partition was asked for."""
        return None if self._app is None else self._app.outage(tp)

    def doubt(self, tp: TP) -> None:
        """Look whether the topic has been made anew before any more of it is read."""
        if self._app is not None:
            self._app.doubt(tp)

    def stop(self) -> None:
        """End the run in order."""
        if not self._stop.done():
            self._stop.set_result(None)

    def fail(self, error: BaseException) -> None:
        """End the run with an error: what was not confirmed is done again by the next start."""
        if not self._stop.done():
            self._stop.set_exception(error)

    def _apply(self, records: list[KafkaRecord]) -> None:
        try:
            for record in records:
                with self._unreadable.skipping(self._settings.topic(record.topic), record.offset):
                    self._detectors.apply(record)
                self._coordinate.observe(record)
        except Exception as error:
            self.fail(error)

    def _follower(self) -> Follower:
        loop = asyncio.get_running_loop()

        def deliver(records: list[KafkaRecord]) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(self._apply, records)

        topics = [Followed(name, self._settings.topic(name), "beginning") for name in ("detectors", "state")]
        return Follower(self._settings.client(), topics, deliver)

    async def _catch_up(self, follower: Follower) -> None:
        while not follower.caught_up:
            await self._check_follower(follower)
            await asyncio.sleep(TICK)
        # The last records were handed to the loop before the follower counted them, but may still wait there.
        await asyncio.sleep(0)

    async def _check_follower(self, follower: Follower) -> None:
        if follower.failure is not None:
            raise RuntimeError(f"the view of detectors can't be read: {follower.failure}")

    async def run(self, ready: Callable[[], None]) -> None:
        """Work until ``stop``. Raises the first failure of any part."""
        settings = self._settings
        follower = self._follower()
        follower.start()
        loops: list[asyncio.Task[None]] = []
        try:
            await self._first(self._catch_up(follower))
            await self._first(self._set_clock())
            self._app = app = App(
                settings,
                self._ledger,
                data=self._ingest,
                named={"control": self._coordinate, "partials": self._score, "scans": self._scans},
                failed=self.fail,
            )
            app.read(self._detectors.topics())
            self._detectors.changed.clear()
            await app.faust.start()
            loops = [
                self._loop(self._ingest.tick, TICK),
                self._loop(self._ingest.checkpoint, settings.source_checkpoint_interval),
                self._loop(self._score.checkpoint, 1.0),
                self._loop(self._score.forget, FORGET_SECONDS),
                self._loop(self._score.analyse, 0.02),
                self._loop(self._score.report, settings.statistics_interval),
                self._loop(self._ingest.report, settings.statistics_interval),
                self._loop(lambda: self._check_follower(follower), 1.0),
                self._loop(self._follow_detectors, 0.0),
                self._loop(self._keep_subscribed, 1.0),
                self._loop(self._coordinate.tidy, 1.0),
                self._loop(self._coordinate.look_up_topics, settings.topic_refresh_interval),
                self._loop(self._statistics.write, settings.statistics_interval),
            ]
            drawing = asyncio.create_task(self._draw())
            await self._first(app.assigned.wait())
            drawing.cancel()
            del drawing
            await self._first(self._coordinate.ready())
            ready()
            await self._first(app.faust.wait_until_stopped())
            app.check()
        finally:
            for loop in loops:
                loop.cancel()
            await asyncio.gather(*loops, return_exceptions=True)
            follower.stop(2.0)
            self._coordinate.stop()
            await self._wind_up()

    async def _draw(self) -> list[ForestBank]:
        """Draw the trees of all that runs; they last as long as somebody has the banks that are returned.

        The group lets a worker wait until the one before it is given up: drawn only then, the trees of hundreds of
        detectors would hold up the first results for seconds.
        """
        banks = []
        for running in list(self._detectors.scored.values()):
            banks.append(open_bank(running.spec, 1))
            await asyncio.sleep(0)
        return banks

    async def _set_clock(self) -> None:
        """The delivery of the first statistics tells Kafka's time, before any record is judged by it."""
        await self._statistics.write()
        await self._outbox.barrier()

    async def _first(self, wanted: Awaitable[Any]) -> None:
        """Wait for ``wanted`` or the stop, whichever comes first; raise what either raises."""
        task = asyncio.ensure_future(wanted)
        await asyncio.wait([task, self._stop], return_when="FIRST_COMPLETED")
        if self._stop.done():
            self._stop.result()
        if task.done():
            task.result()
        else:
            task.cancel()

    def _loop(self, step: Callable[[], Awaitable[None]], pause: float) -> asyncio.Task[None]:
        async def run() -> None:
            while not self._stop.done():
                try:
                    await step()
                except asyncio.CancelledError:
                    raise
                except Exception as error:
                    self.fail(error)
                    return
                await asyncio.sleep(pause)

        return asyncio.create_task(run())

    async def _follow_detectors(self) -> None:
        await self._detectors.changed.wait()
        self._detectors.changed.clear()
        self._ingest.refresh()
        await self._score.refresh()
        await self._keep_subscribed()

    async def _keep_subscribed(self) -> None:
        assert self._app is not None
        self._app.check()
        self._app.read(self._detectors.topics())

    async def _wind_up(self) -> None:
        await self._scans.stop()
        saved, patience = False, 10.0
        if self._stop.done() and self._stop.exception() is None:
            # So that the next start has nothing to read again; without it, it would read more and do the same.
            try:
                async with asyncio.timeout(10):
                    await self._ingest.checkpoint()
                    await self._score.checkpoint(everything=True)
                saved = True
            except TimeoutError:
                # Kafka is away: nobody can be told goodbye either, and whoever stops several workers waits for each.
                patience = 1.0
            except Exception as error:
                log.warning("stopped without a last checkpoint", error=repr(error))
        if self._app is not None:
            with contextlib.suppress(Exception):
                async with asyncio.timeout(patience):
                    await self._app.faust.stop()
        self._outbox.close(5.0 if saved else 0.5)


def _topics(settings: Settings) -> set[str]:
    return set(AdminClient(settings.client(), logger=None).list_topics(timeout=3.0).topics)


async def _wait_for_kafka(settings: Settings, clock: KafkaClock) -> None:
    told = False
    clock.asked()
    while True:
        try:
            topics = await asyncio.to_thread(_topics, settings)
            clock.answered()
            missing = [name for name in ("control", "state", "partials") if settings.topic(name) not in topics]
            if not missing:
                return
            problem = f"topics are missing ({', '.join(map(settings.topic, missing))}): run 'riverwatch topics apply'"
        except KafkaException as error:
            problem = f"Kafka at {settings.brokers} does not answer: {error.args[0].str()}"
        if not told:
            log.warning("waiting", reason=problem)
            told = True
        await asyncio.sleep(1.0)


async def _main(settings: Settings, ready: Callable[[], None]) -> None:
    loop = asyncio.get_running_loop()
    clock = KafkaClock()
    waiting = asyncio.ensure_future(_wait_for_kafka(settings, clock))
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, waiting.cancel)
    try:
        await waiting
    except asyncio.CancelledError:
        return
    worker = Worker(settings, clock)
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, worker.stop)
    await worker.run(ready)


def run(settings: Settings) -> NoReturn:
    """Run a worker until SIGINT or SIGTERM, and end the process with the exit code.

    After a failure the process starts itself anew: state is rebuilt from Kafka, which is the one path that is
    tried all the time. Set RIVERWATCH_RESTART=false to end with exit code 75 instead. Raises
    ``KernelUnavailable``.
    """
    _configure_logging(settings.log_level)
    kernel = choose(settings.kernel)
    if kernel.reason:
        log.warning("kernel", name=kernel.name, why_not_compiled=kernel.reason)
    else:
        log.info("kernel", name=kernel.name)
    code = 0
    # Not asyncio.run: it waits for tasks of Faust's that swallow their cancellation. While Kafka was away a worker
    # neither stopped nor, after a failure, started anew.
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(
            _main(settings, lambda: print(f"worker {settings.node_id} ready", flush=True))  # noqa: T201
        )
    except Exception as error:
        log.error("worker failed, starting anew", error=repr(error), exc_info=error)
        time.sleep(1.0)
        if settings.restart:
            os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
        code = RESTART
    sys.stdout.flush()
    sys.stderr.flush()
    # Nor does the interpreter wait for the thread in which Faust's consumer tries to reach Kafka.
    os._exit(code)


def _configure_logging(level: str) -> None:
    number = logging.getLevelNamesMapping()[level.upper()]
    logging.basicConfig(
        level=max(number, logging.WARNING), stream=sys.stderr, format="%(levelname)s %(name)s %(message)s"
    )
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
