"""A Faust transport that hands an agent whole fetches and commits what the ledger calls safe.

Faust's own bookkeeping of acknowledgements is not used:

* ``Consumer._add_gap`` marks the offsets between two deliveries, *and the message after them*, as acknowledged
  before they have been processed. A chunk looks like such a gap: its records would be committed unseen, and lost
  by a crash. (Stock Faust loses records the same way on compacted and transactional topics.)
* with the agent's work confirmed only later (partials sent, models checkpointed), acknowledging a message says
  nothing about safety anyway.

So a delivery is forgotten as soon as it is acknowledged, and ``_new_offset`` asks the ledger.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from typing import Any

import faust
from aiokafka.consumer.fetcher import PartitionRecords
from aiokafka.errors import KafkaError
from faust.transport.drivers import aiokafka as driver
from faust.types import ConsumerMessage

from streams.kafka.outages import Outage
from streams.kafka.tp import TP
from streams.transport.conductor import ChunkConductor
from streams.transport.fetches import FETCH_WAIT_MS, Answer, WatchedFetcher
from streams.transport.ledger import Ledger


def _as_it_is(_: PartitionRecords, tp: TP, record: Any) -> Any:
    return record


# aiokafka copies each record into an object of eleven fields, which takes longer than all that ingest does with it.
# What it copies from has ``offset``, ``timestamp``, ``key``, ``value`` and ``headers`` as well, and that is all that
# the agents use.
PartitionRecords._consumer_record = _as_it_is

POLL_SECONDS = 0.1
"""How long one look for fetched records takes when there are none; Faust's own second delays every rebalance."""

StartHook = Callable[[Mapping[TP, int | None]], Awaitable[Mapping[TP, int]]]
"""Given the assigned partitions and their committed offsets: where to begin reading each of them.

Each: what was fetched of a partition before the assignment has been settled is dropped, so reading must go back.
"""


SameTopics = Callable[[Iterable[TP]], Awaitable[Mapping[TP, str]]]
"""Which of these partitions belong to a topic that was made anew since they were assigned: its new id."""


class Chunk:
    """The records of one partition that one fetch brought, in offset order.

    ``follows`` is where the chunk before it ended (or reading began): whoever has not come so far has missed a
    chunk. Offsets alone don't tell, since compaction and transactions leave gaps of their own.

    A chunk without records says what happened before the next ones: ``lost`` are offsets, first and next, that
    retention deleted before they were read; ``topic_id`` is there when the topic was made anew and is read from its
    beginning. ``offset`` is for Faust, which drops what lies before the last one that it saw.
    """

    __slots__ = ("follows", "lost", "offset", "records", "topic_id")

    def __init__(
        self,
        records: list[Any],
        follows: int | None = None,
        *,
        lost: tuple[int, int] | None = None,
        topic_id: str | None = None,
    ) -> None:
        self.records = records
        self.follows = follows
        self.lost = lost
        self.topic_id = topic_id
        self.offset: int = records[-1].offset if records else lost[1] - 1 if lost is not None else 0


class ChunkSchema(faust.Schema):
    """Hands the records through: the agent decodes them itself."""

    def loads_key(self, app: Any, message: Any, **_: Any) -> None:
        return None

    def loads_value(self, app: Any, message: Any, **_: Any) -> Any:
        return message.value


class _Fetched(dict[TP, list[Any]]):
    """Records by partition, and what ``WatchedFetcher`` knows at that moment.

    ``positions`` is where the consumer stands after the records, markers and gaps passed. ``begins`` is how often
    reading had begun before.
    """

    positions: Mapping[TP, int] = {}
    doubts: Mapping[TP, int] = {}
    jumps: Mapping[TP, tuple[int, int]] = {}
    begins: int = 0


class _Thread(driver.AIOKafkaConsumerThread):
    _begins = 0

    async def begin(self, starts: Mapping[TP, int]) -> None:
        """Begin reading at these offsets; what is fetched from then on has one more of ``begins``."""
        await self.call_thread(self._begin, self._ensure_consumer(), starts)

    async def _begin(self, consumer: Any, starts: Mapping[TP, int]) -> None:
        # In one step: Faust's thread goes on with a fetch while it waits, which may end before or after.
        self._begins += 1
        await self._seek_wait(consumer, starts)

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        # Faust sets this only for its own exactly-once mode: what was aborted would be counted as if it had happened.
        consumer._isolation_level = "read_committed"
        # Faust waits 1.5 s: for so long nobody would know that an empty partition has been read to its end.
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS
        return consumer

    async def _fetch_records(self, consumer: Any, *args: Any, **kwargs: Any) -> _Fetched:
        fetched = _Fetched(await super()._fetch_records(consumer, *args, **kwargs))
        # In the same step: what this thread takes out next must not seem to have been handed over already.
        assignment = consumer._subscription.subscription.assignment
        fetcher: WatchedFetcher = consumer._fetcher
        if assignment is not None:
            fetched.positions = fetcher.positions(assignment, fetched)
        fetched.doubts = dict(fetcher.doubts)
        fetched.jumps, fetcher.jumps = fetcher.jumps, {}
        fetched.begins = self._begins
        return fetched

    def outage(self, tp: TP) -> Outage | None:
        """Kafka's latest outage."""
        fetcher = None if self._consumer is None else self._consumer._fetcher
        return None if fetcher is None else fetcher.outages.latest.get(tp)

    def answer(self, tp: TP) -> Answer | None:
        """Kafka's latest answer about a partition."""
        fetcher = None if self._consumer is None else self._consumer._fetcher
        return None if fetcher is None else fetcher.answers.get(tp)

    def forget(self) -> None:
        """Partitions have been assigned."""
        if self._consumer is not None and self._consumer._fetcher is not None:
            self._consumer._fetcher.forget()

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        """Commit, or leave it to the next time: without Kafka a commit fails, which must not end the worker."""
        consumer = self._ensure_consumer()
        assignment = self.assignment()
        try:
            await consumer.commit(
                {driver.ensure_aiokafka_TP(tp): (offset, "") for tp, offset in offsets.items() if tp in assignment}
            )
        except (KafkaError, OSError) as error:
            self.log.warning("commit failed, trying again: %r", error)
            return False
        return True


class ChunkConsumer(driver.Consumer):
    """Faust's consumer with deliveries of whole fetches and commits from a ledger."""

    ledger: Ledger
    start_hook: StartHook | None = None
    same_topics: SameTopics | None = None
    _thread: _Thread

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._follows: dict[TP, int | None] = {}
        self._handed_over: dict[TP, int] = {}
        self._believed: dict[TP, int] = {}
        self._doubted: set[TP] = set()
        self._begins = 0
        self._begun: int | None = None  # the generation of the last time
        self._seeking = asyncio.Lock()

    def _new_consumer_thread(self) -> _Thread:
        return _Thread(self, loop=self.loop, beacon=self.beacon)

    async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> dict[TP, list[Chunk]]:
        # Everything else that the consumer's thread is asked for (subscribe, seek, commit) waits for this call.
        fetched: _Fetched = await super()._getmany(active_partitions, min(timeout, POLL_SECONDS))
        made_anew = await self._made_anew(fetched)
        if made_anew is None or fetched.begins != self._begins:
            return {}  # reading has gone back since then, and comes to these records again
        if self._begun != self.app.consumer_generation_id:
            # Reading has not begun yet in this generation: it will go back. Handed over now, what follows on this would
            # follow on a gap, which nobody can tell from one that compaction left.
            self._follows.update((tp, records[-1].offset + 1) for tp, records in fetched.items() if records)
            return {}
        chunks: dict[TP, list[Chunk]] = {}
        for tp, (position, goes_on_at) in fetched.jumps.items():
            if tp not in made_anew and goes_on_at > position:
                chunks[tp] = [Chunk([], lost=(position, goes_on_at))]
        for tp, records in fetched.items():
            if records and tp not in made_anew:
                chunks.setdefault(tp, []).append(Chunk(records, self._follows.get(tp)))
                self._follows[tp] = records[-1].offset + 1
        self._handed_over.update((tp, at) for tp, at in fetched.positions.items() if tp in self._follows)
        if made_anew:
            await self._thread.seek_wait(dict.fromkeys(made_anew, 0))
            for tp, topic_id in made_anew.items():
                chunks[tp] = [Chunk([], topic_id=topic_id)]
                self._follows[tp] = self._handed_over[tp] = 0
        return chunks

    async def _made_anew(self, fetched: _Fetched) -> Mapping[TP, str] | None:
        """The partitions whose topic is another one now; None when what was fetched is of no use any more.

        Looked up where something is to be handed over that was fetched after a fetch had failed or paused: the offsets
        of another topic mean other records, and reading on would leave out its first ones.
        """
        heard = fetched.keys() | fetched.jumps.keys()
        doubtful = {tp: count for tp, count in fetched.doubts.items() if self._believed.get(tp, 0) != count}
        wanted = {tp for tp in doubtful if tp in heard} | self._doubted
        if self.same_topics is None or not wanted:
            return {}
        begins = self._begins
        made_anew = await self.same_topics(wanted)
        if begins != self._begins:
            return None
        self._doubted -= wanted
        self._believed.update((tp, doubtful[tp]) for tp in wanted & doubtful.keys())
        return made_anew

    def doubt(self, tp: TP) -> None:
        """Look whether the partition's topic has been made anew before any more of it is handed over."""
        if tp in self._follows:
            self._doubted.add(tp)

    def at_end(self, tp: TP, offset: int) -> float | None:
        """When Kafka last confirmed that nothing follows ``offset``, as monotonic time; None when it did not.

        By the consumer's position, which passes transaction markers and what compaction or retention took away. None
        also while something that was fetched has not been processed: ``offset`` is where the agent stands.
        """
        position, follows = self._handed_over.get(tp), self._follows.get(tp)
        answer = self._thread.answer(tp)
        if position is None or answer is None or (follows is not None and offset < follows):
            return None
        return answer.at if answer.reached(position) else None

    def outage(self, tp: TP) -> Outage | None:
        """Kafka's latest outage, as far as this partition was asked for."""
        return self._thread.outage(tp)

    def _to_message(self, tp: TP, record: Chunk) -> ConsumerMessage:
        last = record.records[-1] if record.records else None
        return ConsumerMessage(
            tp.topic,
            tp.partition,
            record.offset,
            0.0 if last is None else last.timestamp / 1000.0,
            0 if last is None else last.timestamp_type,
            [],
            None,
            record,
            None,
            0,
            0,
            tp,
            generation_id=self.app.consumer_generation_id,
        )

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Nothing is acknowledged by being skipped: see the module's docstring."""

    def highwater(self, tp: TP) -> int:
        """The end offset of a partition, which Faust counts; 0 for one that a rebalance has just taken away or given.

        Faust asks for it in the middle of handing out what was fetched, and the fetcher would die: of the assertion,
        or of None, which is there until Kafka has answered.
        """
        try:
            return int(super().highwater(tp) or 0)
        except AssertionError:
            return 0

    def ack(self, message: Any) -> bool:
        message.acked = True
        self._unacked_messages.discard(message)
        return True

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> Iterator[TP]:
        return (tp for tp in self.ledger.partitions() if topics is None or tp in topics or tp.topic in topics)

    def _new_offset(self, tp: TP) -> int | None:
        return self.ledger.safe(tp)

    async def seek_to_committed(self) -> Mapping[TP, int | None]:
        """Called after every assignment, before records flow: the one place that says where reading begins.

        Faust's fetcher calls it, too, when it finds the flow stopped. Both at once would rebuild the state of a
        partition twice, and what arrives in between would be lost with the first.
        """
        async with self._seeking:
            return await self._seek_to_starts()

    async def _seek_to_starts(self) -> Mapping[TP, int | None]:
        generation = self.app.consumer_generation_id
        committed = dict(await super().seek_to_committed())
        committed.update({TP(tp.topic, tp.partition): None for tp in self.assignment() if tp not in committed})
        if self.start_hook is None:
            return committed
        starts = await self.start_hook(committed)
        starts = {tp: offset for tp, offset in starts.items() if tp in self.assignment()}
        # In the consumer's own thread: Faust's seek works on the fetcher's buffers from this one, while that thread
        # takes records out of them, and the fetcher dies of it.
        self._thread.forget()
        self._begun = generation
        self._begins += 1
        self._believed = {}
        self._doubted.clear()
        self._follows = {**committed, **starts}
        self._handed_over = {tp: at for tp, at in self._follows.items() if at is not None}
        await self._thread.begin(starts)
        # Faust drops records below the offset it believes it began at, and keeps counting from there.
        return {**committed, **starts}

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Faust's own check takes an offset that is safe only later for a hang and floods the log."""


class ChunkTransport(driver.Transport):
    """The transport to give to a Faust app (``app.transport``)."""

    Consumer = ChunkConsumer
    Conductor = ChunkConductor

    def __init__(
        self,
        *args: Any,
        ledger: Ledger,
        start_hook: StartHook | None = None,
        same_topics: SameTopics | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._ledger = ledger
        self._start_hook = start_hook
        self._same_topics = same_topics

    def create_consumer(self, callback: Any, **kwargs: Any) -> ChunkConsumer:
        consumer: ChunkConsumer = super().create_consumer(callback, **kwargs)
        consumer.ledger = self._ledger
        consumer.start_hook = self._start_hook
        consumer.same_topics = self._same_topics
        return consumer


def watch(app: Any, declared: Any, topics: Iterable[str]) -> bool:
    """Make the agent that reads ``declared`` read exactly ``topics``; True when that changed anything.

    A stream iterates over a *clone* of the declared topic, known by its schema object, inside Faust's conductor:
    changing the declared topic alone does nothing.
    """
    wanted = sorted(topics)
    changed = False
    for channel in [declared, *app.topics._topics]:
        if channel.schema is declared.schema and sorted(channel.topics) != wanted:
            channel.topics = list(wanted)
            changed = True
    if changed:
        app.topics._flag_changes()
    return changed
