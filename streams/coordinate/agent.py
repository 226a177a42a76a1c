"""The coordinate agent: control events in; detectors, jobs, tasks, scans and replies out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from math import gcd
from typing import Any

import msgspec
import structlog
from confluent_kafka import KafkaException, Message
from faust.types import TP

from schemas.command import Event, HistoryStart, JobStart, Reply, Sources, decode_event, encode_event, encode_reply
from schemas.detector import load_detector
from schemas.errors import Refused
from schemas.state import JOURNAL_KEY, Journal, JournalEntry, StoredTask, decode_state, encode
from schemas.task import LIVE_STATES
from streams.coordinate.entities import corrected
from streams.coordinate.jobs import cold_start
from streams.coordinate.machine import Effects, Machine
from streams.coordinate.state import Record
from streams.coordinate.step import Context, CoordinatorLimits
from streams.coordinate.topics import Topics
from streams.dead_letters import DeadLetters
from streams.follower import read_to_end
from streams.outbox import Outbox
from streams.partitions import is_another
from streams.settings import Settings
from streams.transport import Ledger

log = structlog.get_logger()

_NULL = b"null"

PATIENCE = 5.0
"""Seconds after which entity tasks that do not follow their parent are put right."""


class Coordinate:
    """The coordinator, on the one worker that the control partition is assigned to.

    What an event leads to is written twice: first in one piece as the journal, then record by record. A coordinator
    that dies in between is followed by one that writes the journal's records again.
    """

    def __init__(self, settings: Settings, outbox: Outbox, ledger: Ledger, *, dead_letters: DeadLetters) -> None:
        self._settings = settings
        self._outbox = outbox
        self._ledger = ledger
        self._dead_letters = dead_letters
        self._topics = Topics(settings)
        self._machine: Machine | None = None
        self._position = 0
        self._gone: set[tuple[str, str]] = set()
        self._to_correct: dict[str, float] = {}

    async def assigned(self, committed: Mapping[TP, int | None]) -> dict[TP, int]:
        """The control partition, if it is ours from now on: where to begin reading."""
        if not committed:
            self._machine = None
            return {}
        ((tp, offset),) = committed.items()
        if self._machine is None or (offset or 0) > self._position:
            self._machine = await self._restored()
            self._position = offset or 0
            self._to_correct = dict.fromkeys(self._machine.state.children, time.monotonic())
            log.info("coordinator begins", offset=self._position, detectors=len(self._machine.state.detectors))
        return {tp: self._position}

    async def _restored(self) -> Machine:
        limits = CoordinatorLimits(
            max_detectors=self._settings.max_detectors,
            max_multi_entity_detectors=self._settings.max_multi_entity_detectors,
            max_historical_tasks=self._settings.max_historical_tasks,
            max_old_tasks=self._settings.max_old_tasks,
            model_partitions=self._settings.model_partitions,
            detector=self._settings.detector_limits(),
        )
        machine = Machine(limits, self._settings.node_id)
        records: list[tuple[Record, int]] = []
        journal: Journal | None = None
        for name in ("detectors", "state"):
            for message in await asyncio.to_thread(self._read, name):
                record = Record(name, (message.key() or b"").decode(), message.value())
                if name == "state" and record.key == JOURNAL_KEY and record.value is not None:
                    found = decode_state(record.value)
                    journal = found if isinstance(found, Journal) else journal
                records.append((record, message.offset()))
        if journal is not None:
            # The coordinator before us may have died between the journal and these.
            for entry in journal.entries:
                value = None if bytes(entry.value) == _NULL else bytes(entry.value)
                records.append(
                    (Record(entry.topic, entry.key, value), await self._write(entry.topic, entry.key, value))
                )
        machine.restore(records)
        return machine

    def _read(self, name: str) -> list[Message]:
        return list(read_to_end(self._settings, self._settings.topic(name), [0]))

    def position(self, tp: TP) -> int | None:
        """The next offset that is expected."""
        return None if self._machine is None else self._position

    # -- events -----------------------------------------------------------------------------------------------

    async def records_arrived(self, tp: TP, records: Sequence[Any]) -> None:
        """Decide about each event, in order."""
        for record in records:
            if self._machine is None or record.offset < self._position:
                continue
            if record.value is not None:
                await self._decide(self._machine, tp, record)
            self._position = record.offset + 1
            self._ledger.mark(tp, self._position)

    async def _decide(self, machine: Machine, tp: TP, record: Any) -> None:
        try:
            event = decode_event(record.value)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            await self._dead_letters.reject(tp, record, "bad-command", str(error))
            await self._refuse(record.value, str(error))
            return
        try:
            context = await self._context(machine, event, record.offset)
        except Refused as refused:
            await self._dead_letters.reject(tp, record, "bad-command", refused.reason)
            return
        effects = machine.apply(event, context)
        offsets = await self._carry_out(machine, effects, record.offset)
        if effects.dead_letter is not None:
            await self._dead_letters.reject(tp, record, *effects.dead_letter)
        if effects.reply is not None:
            seq_no = offsets.get(effects.seq_no_of, 0) if effects.seq_no_of is not None else 0
            ends: dict[str, int] = {}
            for (topic, _), offset in offsets.items():
                ends[topic] = max(ends.get(topic, -1), offset)
            await self._reply(msgspec.structs.replace(effects.reply, seq_no=seq_no, offsets=ends))

    async def _context(self, machine: Machine, event: Event, offset: int) -> Context:
        now = int(time.time() * 1000)
        stored = machine.state.detectors.get(event.detector_id)
        if stored is None or not isinstance(event, JobStart | HistoryStart):
            return Context(now_ms=now, control_offset=offset)
        detector = load_detector(stored.document)
        while True:
            try:
                # First: a topic that is made anew meanwhile is another one than that of the id, and read as such.
                ids = await asyncio.to_thread(self._topics.ids, detector.reads)
                if isinstance(event, HistoryStart):
                    # A record may be written before its event time, but no more than live records may be ahead.
                    ahead = int(self._settings.max_ahead * 1000) + detector.window_interval_ms
                    ranges = await asyncio.to_thread(self._topics.ranges, detector.reads, event.start_time - ahead)
                    return Context(now_ms=now, control_offset=offset, ranges=ranges, topic_ids=ids)
                if event.from_ == "earliest":
                    begins = await asyncio.to_thread(self._topics.begins, detector.reads, earliest=True)
                    return Context(now_ms=now, control_offset=offset, sources=begins, topic_ids=ids)
                since = cold_start(detector, machine.state.jobs.get(stored.id), now)
                ranges = await asyncio.to_thread(
                    self._topics.ranges, detector.reads, since - detector.window_interval_ms
                )
                return Context(
                    now_ms=now,
                    control_offset=offset,
                    sources={topic: {at: begin for at, (begin, _) in parts.items()} for topic, parts in ranges.items()},
                    live={topic: {at: end for at, (_, end) in parts.items()} for topic, parts in ranges.items()},
                    since=since,
                    topic_ids=ids,
                )
            except KafkaException as error:
                log.warning("waiting for Kafka", error=str(error))
                await asyncio.sleep(0.5)

    async def _carry_out(self, machine: Machine, effects: Effects, offset: int) -> dict[tuple[str, str], int]:
        if not effects.records:
            return {}
        entries = [
            JournalEntry(record.topic, record.key, msgspec.Raw(_NULL if record.value is None else record.value))
            for record in effects.records
        ]
        await self._write("state", JOURNAL_KEY, encode(Journal(control_offset=offset, entries=entries)))
        written: dict[tuple[str, str], int] = {}
        waiting = []
        scans = spread(offset, self._settings.model_partitions)
        for record in effects.records:
            # By the keys' hashes the few scans of a task may all come to one worker.
            partition = next(scans) if record.topic == "scans" else -1
            waiting.append((record, await self._start_write(record.topic, record.key, record.value, partition)))
        for record, future in waiting:
            at = await future
            written[record.topic, record.key] = at
            machine.seen(record.topic, record.key, at)
            if record.topic == "state" and record.key in machine.state.children:
                # Later, so that the scorers may end their tasks by themselves.
                self._to_correct[record.key] = time.monotonic() + PATIENCE
        return written

    async def _start_write(self, name: str, key: str, value: bytes | None, partition: int = -1) -> asyncio.Future[int]:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[int] = loop.create_future()

        def delivered(message: Message) -> None:
            loop.call_soon_threadsafe(future.set_result, message.offset())

        await self._outbox.send(self._settings.topic(name), value, key=key, partition=partition, on_delivery=delivered)
        return future

    async def _write(self, name: str, key: str, value: bytes | None) -> int:
        return await (await self._start_write(name, key, value))

    async def _reply(self, reply: Reply) -> None:
        await self._outbox.send(self._settings.topic("replies"), encode_reply(reply), key=reply.request_id)

    async def _refuse(self, value: bytes, reason: str) -> None:
        try:
            given = msgspec.json.decode(value)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return
        if isinstance(given, dict) and isinstance(given.get("request_id"), str):
            error = {"type": "parsing_exception", "reason": reason}
            detector = str(given.get("detector_id", ""))
            await self._reply(Reply(request_id=given["request_id"], detector_id=detector, status=400, error=error))

    def observe(self, message: Message) -> None:
        """Take in a record of the topic state: entity tasks are written by the scorers of all workers."""
        machine = self._machine
        key = (message.key() or b"").decode()
        if machine is None or message.topic() != self._settings.topic("state") or key == JOURNAL_KEY:
            return
        if message.value() is None and not machine.state.is_child(key):
            return
        for record in machine.observe(Record("state", key, message.value())):
            self._outbox.produce(self._settings.topic(record.topic), record.value, key=record.key)

    async def correct_entities(self) -> None:
        """Make entity tasks follow parents that have ended, or are no longer the latest ones."""
        machine, now = self._machine, time.monotonic()
        if machine is None:
            return
        for record in machine.flush(int(time.time() * 1000)):
            await self._outbox.send(self._settings.topic(record.topic), record.value, key=record.key)
        due = {task for task, at in self._to_correct.items() if at <= now}
        self._to_correct = {task: at for task, at in self._to_correct.items() if task not in due}
        parents = {task: machine.state.tasks[task] for task in due & machine.state.tasks.keys()}
        parents = {task: parent for task, parent in parents.items() if parent.document.state not in LIVE_STATES}
        if not parents:
            return
        for child in await asyncio.to_thread(self._read_children, frozenset(parents)):
            parent = parents[child.document.parent_task_id or ""]
            after = corrected(child, parent, int(time.time() * 1000))
            if after is not None and machine.state.is_child(child.id):
                await self._outbox.send(self._settings.topic("state"), encode(after), key=after.id)

    def _read_children(self, parents: frozenset[str]) -> list[StoredTask]:
        found: dict[str, StoredTask] = {}
        for message in self._read("state"):
            key = (message.key() or b"").decode()
            found.pop(key, None)
            if message.value() is None or key == JOURNAL_KEY:
                continue
            document = decode_state(message.value())
            if isinstance(document, StoredTask) and document.document.parent_task_id in parents:
                found[key] = document
        return list(found.values())

    # -- topics that come and go ------------------------------------------------------------------------------

    async def look_up_topics(self) -> None:
        """Tell the runs, through the control topic, of partitions that have come and topics that have gone."""
        machine = self._machine
        if machine is None:
            return
        try:
            there = await asyncio.to_thread(self._topics.partitions)
            accepts = [
                load_detector(machine.state.detectors[job.id].document).reads
                for job in machine.state.jobs.values()
                if job.run is not None and job.id in machine.state.detectors
            ]
            ids = await asyncio.to_thread(self._topics.ids, lambda topic: any(reads(topic) for reads in accepts))
        except KafkaException as error:
            log.warning("topics can't be looked up", error=str(error))
            return
        gone: set[tuple[str, str]] = set()
        for job in list(machine.state.jobs.values()):
            stored = machine.state.detectors.get(job.id)
            if job.run is None or stored is None:
                continue
            reads = load_detector(stored.document).reads
            change: dict[str, dict[int, int]] = {}
            for topic, partitions in there.items():
                known = job.run.sources.get(topic, {})
                if is_another(job.run.topic_ids.get(topic, ""), ids.get(topic, "")):
                    known = {}
                if reads(topic) and (new := set(partitions) - known.keys()):
                    change[topic] = dict.fromkeys(new, 0)
            for topic in job.run.sources.keys() - there.keys():
                gone.add((job.id, topic))
                if (job.id, topic) in self._gone:
                    change[topic] = {}
            if change:
                changed = {topic: ids[topic] for topic in change if topic in ids}
                event = Sources(detector_id=job.id, run=job.run.id, sources=change, topic_ids=changed)
                await self._outbox.send(self._settings.topic("control"), encode_event(event), key=job.id)
        # Gone at two looks in a row: metadata of a broker that has just started may lack a topic for a moment.
        self._gone = gone


def spread(start: int, partitions: int) -> Iterator[int]:
    """Partition after partition without end, neighbours far apart: every worker gets about as many.

    >>> from itertools import islice
    >>> list(islice(spread(0, 8), 9))
    [0, 5, 2, 7, 4, 1, 6, 3, 0]
    """
    step = max(1, round(partitions * 0.618))
    while gcd(step, partitions) != 1:
        step += 1
    return (number * step % partitions for number in count(start))
