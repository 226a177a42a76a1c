"""A worker as a process: the real agents on a loop, a log and a clock of the simulation."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Awaitable, Callable
from typing import Any

from streams.coordinate.agent import Coordinate
from streams.dead_letters import DeadLetters
from streams.detectors import Detectors
from streams.fencing.shares import Shares
from streams.ingest.agent import Ingest
from streams.kafka.clock import KafkaClock
from streams.kafka.follower import KafkaRecord
from streams.kafka.outages import Outage
from streams.kafka.unreadable import Unreadable
from streams.scan.agent import Scans
from streams.schema_registry.supply import SchemaSupply
from streams.score.agent import Score
from streams.settings import Settings
from streams.transport.ledger import Ledger
from tests.simulation.app import App
from tests.simulation.coordinator import MemoryJournal, MemoryTopics
from tests.simulation.group import Group
from tests.simulation.kafka import MemoryLog, MemoryScan
from tests.simulation.log import Message, Record
from tests.simulation.loop import Loop
from tests.simulation.outbox import Outbox
from tests.simulation.world import EPOCH_MS, World

WIND_UP = 10.0
"""Seconds, of simulated time, that a worker which stops takes for its last checkpoint."""


class Clock:
    """What a worker takes for the time; ``skew`` is how far its wall clock is ahead, in seconds."""

    def __init__(self, world: World, skew: float) -> None:
        self.world = world
        self._skew = skew

    def time(self) -> float:
        """The wall clock, epoch seconds."""
        return EPOCH_MS / 1000 + self.world.now + self._skew

    def monotonic(self) -> float:
        """Seconds since some moment."""
        return self.world.now


class Process:
    """One life of a worker, from its start to its end."""

    def __init__(self, world: World, group: Group, name: str, settings: Settings, skew: float) -> None:
        self.name = name
        self.world = world
        self._group = group
        self._settings = settings
        self._paused = False
        self._ended = False
        self.failure: BaseException | None = None
        wrong = Clock(world, skew)
        self.clock = KafkaClock(wrong.time, wrong.monotonic)
        self.loop = Loop(lambda: world.now)
        self.outbox = Outbox(world, self.loop, self.responds, slow=0.3)
        self._loops: list[asyncio.Task[None]] = []
        self._stopping = False
        world.runners.append(self)
        self.loop.create_task(self._main())

    # -- for scheduler and group ------------------------------------------------------------------------------

    def responds(self) -> bool:
        """Whether it runs."""
        return not (self._paused or self._ended)

    def topics(self) -> frozenset[str]:
        """What it has subscribed to."""
        own = {self._settings.topic(name) for name in ("control", "partials", "scans")}
        return frozenset(own | self._detectors.topics())

    def next_at(self) -> float | None:
        """When it wants to run."""
        return self.loop.next_at() if self.responds() else None

    def run(self) -> None:
        """Let it do all that is due."""
        self.loop.run()

    def pause(self) -> None:
        """SIGSTOP."""
        self._paused = True
        self.outbox.cut()

    def resume(self) -> None:
        """SIGCONT."""
        self._paused = False

    def crash(self) -> None:
        """``kill -9``."""
        if not self._ended:
            self._ended = True
            self.world.runners.remove(self)
            self.outbox.crash()

    def fail(self, error: BaseException) -> None:
        """A part has failed: as after a crash, something starts it anew."""
        if self.failure is None and not self._ended:
            self.failure = error
            self.world.say(f"{self.name} fails: {error!r}")
            self.world.after(0.0, self.crash)

    def stop(self) -> None:
        """SIGTERM."""
        self._stopping = True
        self.loop.create_task(self._wind_up())

    # -- what it does -----------------------------------------------------------------------------------------

    async def _main(self) -> None:
        settings = self._settings
        ledger = Ledger()
        self._detectors = detectors = Detectors(settings)
        dead_letters = DeadLetters(settings, self.outbox)
        kafka = MemoryLog(self.world)
        shares = Shares(settings, self.outbox, kafka, "windows", generation=self._generation)
        self.ingest = Ingest(
            settings,
            detectors,
            self.outbox,
            ledger,
            self,
            clock=self.clock,
            kafka=kafka,
            shares=shares,
            schemas=SchemaSupply({}),
            dead_letters=dead_letters,
            failed=self.fail,
        )
        self.score = Score(
            settings,
            detectors,
            self.outbox,
            ledger,
            clock=self.clock,
            open_shares=lambda number: Shares(
                settings, self.outbox, kafka, "checkpoints", number, generation=self._generation
            ),
            dead_letters=dead_letters,
            failed=self.fail,
        )
        self.scans = Scans(
            settings,
            detectors,
            self.outbox,
            ledger,
            clock=self.clock,
            open_reader=functools.partial(MemoryScan, self.world),
            schemas=SchemaSupply({}),
            shares=shares,
            dead_letters=dead_letters,
            busy=self.score.busy,
            failed=self.fail,
        )
        self.coordinate = Coordinate(
            settings,
            MemoryJournal(self.world, settings.prefix),
            self.outbox,
            ledger,
            clock=self.clock,
            topics=MemoryTopics(self.world, settings.prefix),
            dead_letters=dead_letters,
            unreadable=Unreadable(),
        )
        self._positions = {settings.topic(name): 0 for name in ("detectors", "state")}
        self.clock.asked()
        while not self._follow():
            await asyncio.sleep(0.2)
        self.clock.answered()
        await self._write_statistics()
        self._app = App(
            self.world,
            self._group,
            self,
            ledger,
            data=self.ingest,
            named={
                settings.topic("control"): self.coordinate,
                settings.topic("partials"): self.score,
                settings.topic("scans"): self.scans,
            },
            failed=self.fail,
        )
        self._loops = [
            *self._app.tasks(),
            self._loop(self._write_statistics, 1.0),
            self._loop(self._following, 1.0),
            self._loop(self._follow_detectors, 0.0),
            self._loop(self.ingest.tick, 0.4),
            self._loop(self.ingest.checkpoint, settings.source_checkpoint_interval),
            self._loop(self.score.checkpoint, 1.0),
            self._loop(self.coordinate.tidy, 1.0),
            self._loop(self.score.analyse, 0.5),
            self._loop(self.score.report, 1.0),
        ]

    async def _write_statistics(self) -> None:
        report, now = self.clock.on_delivery(), self.world.now_ms
        while self.world.log.away:
            await asyncio.sleep(0.3)
            now = self.world.now_ms
        report(Message("nodes", 0, Record(0, now, None, None)))

    def _generation(self) -> int:
        return self._app.generation

    def at_end(self, tp: Any, offset: int) -> float | None:
        """See ``App``."""
        return self._app.at_end(tp, offset)

    def outage(self, tp: Any) -> Outage | None:
        """See ``App``."""
        return self._app.outage(tp)

    def doubt(self, tp: Any) -> None:
        """No topic is made anew here."""

    def _follow(self) -> bool:
        if self.world.log.away:
            return False
        for topic in self._positions:
            for record in self.world.log.topics[topic][0].since(self._positions[topic]):
                self._positions[topic] = record.offset + 1
                name = topic.removeprefix(self._settings.prefix)
                found = KafkaRecord(
                    name, 0, record.offset, (record.key or b"").decode(), record.value, record.timestamp
                )
                self._detectors.apply(found)
                self.coordinate.observe(found)
        return True

    async def _following(self) -> None:
        await asyncio.sleep(self.world.dice.choice([0.0, 0.0, 1.0]))
        self._follow()

    async def _follow_detectors(self) -> None:
        await self._detectors.changed.wait()
        self._detectors.changed.clear()
        self.ingest.refresh()
        await self.score.refresh()

    def _loop(self, step: Callable[[], Awaitable[None]], pause: float) -> asyncio.Task[None]:
        async def run() -> None:
            while True:
                try:
                    await step()
                except asyncio.CancelledError:
                    raise
                except Exception as error:
                    self.fail(error)
                    return
                await asyncio.sleep(pause)

        return asyncio.create_task(run())

    async def _wind_up(self) -> None:
        for loop in self._loops:
            loop.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)
        self.coordinate.stop()
        await self.scans.stop()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(WIND_UP):
                await self.ingest.checkpoint()
                await self.score.checkpoint(everything=True)
        if hasattr(self, "_app"):
            self._app.commit()
        self._group.leave(self)
        self.world.after(0.0, self.crash)
