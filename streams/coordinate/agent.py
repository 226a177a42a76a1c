"""The coordinate agent: control events in; detectors, jobs, tasks, scans and replies out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import structlog
from confluent_kafka import KafkaException

from schemas.command import encode_event
from schemas.state import StoredTask, encode
from streams.coordinate.batch import TIDIED, Batch, Received
from streams.coordinate.entities import Followers, corrections
from streams.coordinate.journal import Journal, JournalLost, JournalUnavailable
from streams.coordinate.lookup import Found, Question, Topics
from streams.coordinate.machine import Machine
from streams.coordinate.state import Record
from streams.coordinate.step import CoordinatorLimits
from streams.coordinate.watch import TopicWatch
from streams.dead_letters import DeadLetters
from streams.kafka.clock import KafkaClock
from streams.kafka.follower import KafkaRecord
from streams.kafka.outbox import Outbox
from streams.kafka.tp import TP
from streams.kafka.unreadable import Unreadable
from streams.settings import Settings
from streams.transport import Ledger

log = structlog.get_logger()

T = TypeVar("T")

EVENTS = 500
"""Most events of a transaction: whoever waits for the first one's reply waits for all of them."""

SECONDS = 0.2
"""After so long a transaction takes in no more events; a start has to ask Kafka for offsets."""


class Coordinate:
    """The coordinator, on the one worker that the control partition is assigned to.

    Its machine is a fold of what the journal holds, and what events lead to is written in transactions. Whenever one
    does not come about (another worker coordinates, or Kafka was away for long) the machine is ahead of the journal:
    it is given up, and read anew as long as the partition is ours.
    """

    def __init__(
        self,
        settings: Settings,
        journal: Journal,
        outbox: Outbox,
        ledger: Ledger,
        *,
        clock: KafkaClock,
        topics: Topics,
        dead_letters: DeadLetters,
        unreadable: Unreadable,
    ) -> None:
        self._settings = settings
        self._journal = journal
        self._outbox = outbox
        self._ledger = ledger
        self._dead_letters = dead_letters
        self._unreadable = unreadable
        self._clock = clock
        self._topics = topics
        self._watch = TopicWatch()
        # One thread: an opening that nobody waits for any more must not come in between the next one and its reading.
        self._thread = ThreadPoolExecutor(1, "journal")
        self._turn = asyncio.Lock()
        self._tp: TP | None = None
        self._position = 0
        self._beginning: asyncio.Task[None] | None = None
        self._machine: Machine | None = None
        self._observed: list[Record] = []
        self._followers = Followers()
        self._most = EVENTS
        self._refused: tuple[int, str] | None = None

    # -- ours or not ------------------------------------------------------------------------------------------

    async def assigned(self, committed: Mapping[TP, int | None]) -> dict[TP, int]:
        """The control partition, if it is ours from now on: where to begin reading."""
        if not committed:
            self._resign()
            return {}
        ((tp, offset),) = committed.items()
        if self._tp is None or (offset or 0) > self._position:  # further: somebody else has coordinated meanwhile
            self._resign()
            self._tp, self._position = tp, offset or 0
            self._begin_soon(0.0)
        return {tp: self._position}

    def position(self, tp: TP) -> int | None:
        """The next offset that is expected."""
        return self._position if tp == self._tp else None

    def _resign(self) -> None:
        if self._tp is not None:
            self._ledger.forget(self._tp)
        if self._beginning is not None:
            self._beginning.cancel()
        self._tp = self._machine = self._beginning = None

    def stop(self) -> None:
        """Wait for nothing any more."""
        self._resign()
        self._journal.close()

    async def ready(self) -> None:
        """Return when the coordinator has begun, if it is ours."""
        beginning = None
        while self._beginning is not beginning:
            beginning = self._beginning
            if beginning is not None:
                await asyncio.wait([beginning])
        if beginning is not None:
            beginning.result()

    def _begin_soon(self, pause: float) -> None:
        self._machine = None
        self._observed = []
        self._beginning = asyncio.create_task(self._begin(pause))

    async def _begin(self, pause: float) -> None:
        await asyncio.sleep(pause)
        machine, reported = await self._in_thread(self._restored), ""
        while isinstance(machine, str):
            if machine != reported:
                reported = machine
                log.error("the coordinator can't begin", reason=machine)
            await asyncio.sleep(1.0)
            machine = await self._in_thread(self._restored)
        for record in self._observed:
            self._take_in(machine, record)
        self._observed = []
        self._machine = machine
        self._followers.all_of(machine.state, self._clock.monotonic())
        log.info("coordinator begins", offset=self._position, detectors=len(machine.state.detectors))

    def _restored(self) -> Machine | str:
        """The machine as the journal has it, or why that can't be told now."""
        settings = self._settings
        limits = CoordinatorLimits(
            max_detectors=settings.max_detectors,
            max_multi_entity_detectors=settings.max_multi_entity_detectors,
            max_historical_tasks=settings.max_historical_tasks,
            max_old_tasks=settings.max_old_tasks,
            model_partitions=settings.model_partitions,
            max_ahead_ms=int(settings.max_ahead * 1000),
            detector=settings.detector_limits(),
        )
        machine = Machine(limits, settings.node_id)
        try:
            self._journal.open()
            for held in self._journal.read():
                with self._unreadable.skipping(settings.topic(held.topic), held.offset):
                    machine.state.restore(Record(held.topic, (held.key or b"").decode(), held.value), held.offset)
            position, end = machine.state.offset, self._topics.end_of_control()
            machine.state.restored(end)
            if position >= end:
                log.error("the control topic is shorter than what was carried out: was it made anew?", end=end)
        except JournalUnavailable as error:
            return str(error)
        except KafkaException as error:
            return f"Kafka does not answer: {error.args[0].str()}"
        return machine

    async def _in_thread(self, function: Callable[..., T], *arguments: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function, *arguments)

    # -- events -----------------------------------------------------------------------------------------------

    async def records_arrived(self, tp: TP, records: Sequence[Any]) -> None:
        """Decide about each event, in order, and write what they lead to in transactions."""
        while tp == self._tp:
            await self.ready()
            async with self._turn:
                machine = self._machine
                if machine is None:
                    continue
                # Only now: while we waited, the partition may have been somebody else's, who has been further.
                waiting = [record for record in records if record.offset >= self._position]
                if not waiting:
                    return
                batch = await self._batch(machine, waiting[: self._most])
                batch.close(self._clock.now())
                done = machine is self._machine and await self._commit(machine, batch)
                if done and machine is self._machine:
                    assert batch.end is not None
                    self._position, self._most = batch.end, EVENTS
                    self._ledger.mark(tp, self._position)

    async def _batch(self, machine: Machine, records: Sequence[Any]) -> Batch:
        batch, begun = self._new_batch(machine), self._clock.monotonic()
        for record in records:
            received, now = Received.of(record.offset, record.key, record.value), self._clock.now()
            if self._refused is not None and self._refused[0] == record.offset:
                batch.refuse(received, self._refused[1])
                continue
            question = batch.question(received, now)
            answer = None if question is None else await self._answer(machine, question)
            if machine is not self._machine:
                break
            batch.take(received, now, answer)
            if self._clock.monotonic() - begun > SECONDS:
                break
        return batch

    def _new_batch(self, machine: Machine) -> Batch:
        return Batch(machine, prefix=self._settings.prefix)

    async def _answer(self, machine: Machine, question: Question) -> Found:
        while machine is self._machine:
            try:
                return await asyncio.to_thread(self._topics.answer, question)
            except KafkaException as error:
                log.warning("waiting for Kafka", error=str(error))
                await asyncio.sleep(0.5)
        return Found({}, {})

    async def _commit(self, machine: Machine, batch: Batch) -> bool:
        if not batch.entries:
            return True
        try:
            offsets = await self._in_thread(self._journal.commit, batch.entries, batch.replies)
        except JournalLost as error:
            if machine is self._machine:
                self._lost(batch, error)
            return False
        batch.written(offsets)
        for letter in batch.dead_letters:
            self._dead_letters.count(letter)
        for entry in batch.entries:
            if entry.topic == "state" and entry.key in machine.state.children:
                self._followers.changed(str(entry.key), self._clock.monotonic())
        return True

    def _lost(self, batch: Batch, error: JournalLost) -> None:
        log.warning("the coordinator begins anew", reason=str(error))
        if error.refused and batch.end is not None:
            # One event after the other then, until it is found which of them can't be carried out.
            self._refused = (batch.end - 1, f"its outcome can't be written: {error}") if self._most == 1 else None
            self._most = 1
        # Who was fenced has lost the partition, and mostly just does not know it yet: no quarrel with the successor.
        self._begin_soon(0.0 if error.refused else self._settings.session_timeout / 4)

    # -- what does not wait for an event ----------------------------------------------------------------------

    def observe(self, found: KafkaRecord) -> None:
        """Take in a record of the topic state: entity tasks are written by the scorers of all workers."""
        if self._tp is None or found.topic != "state":
            return
        with self._unreadable.skipping(self._settings.topic("state"), found.offset):
            record = Record("state", found.key, found.value)
            if self._machine is None:
                self._observed.append(record)
            else:
                self._machine.observe(record)

    def _take_in(self, machine: Machine, record: Record) -> None:
        with self._unreadable.skipping(self._settings.topic(record.topic), -1):
            machine.observe(record)

    async def tidy(self) -> None:
        """Write what sources have reported, and make entity tasks follow their parents."""
        while self._machine is not None:
            async with self._turn:
                machine = self._machine
                if machine is None:
                    return
                batch = self._new_batch(machine)
                batch.close(self._clock.now())
                if not batch.entries:
                    break
                if not await self._commit(machine, batch):
                    return
        await self._correct_entities()

    async def _correct_entities(self) -> None:
        machine = self._machine
        parents = {} if machine is None else self._followers.take_due(machine.state, self._clock.monotonic())
        if machine is None or not parents:
            return
        wanted = await self._in_thread(self._corrections, parents)
        while wanted and machine is self._machine:
            async with self._turn:
                batch = self._new_batch(machine)
                for child in wanted[:TIDIED]:
                    if machine.state.is_child(child.id):
                        batch.add(Record("state", child.id, encode(child)))
                batch.close(self._clock.now())
                if machine is not self._machine or not await self._commit(machine, batch):
                    return
            wanted = wanted[TIDIED:]

    def _corrections(self, parents: Mapping[str, StoredTask]) -> list[StoredTask]:
        try:
            return corrections(self._journal.read(), parents, self._clock.now(), self._unreadable)
        except JournalUnavailable as error:
            log.warning("entity tasks can't be read", reason=str(error))
            return []

    # -- topics that come and go ------------------------------------------------------------------------------

    async def look_up_topics(self) -> None:
        """Tell the runs, through the control topic, of partitions that have come and topics that have gone."""
        if self._machine is None:
            return
        try:
            there = await asyncio.to_thread(self._topics.partitions)
            if self._machine is None:
                return
            ids = await asyncio.to_thread(self._topics.ids, self._watch.read(self._machine.state, there))
        except KafkaException as error:
            log.warning("topics can't be looked up", error=str(error))
            return
        if self._machine is not None:
            for event in self._watch.look(self._machine.state, there, ids):
                await self._outbox.send(self._settings.topic("control"), encode_event(event), key=event.detector_id)
