"""The Faust app: four agents of a few lines, and the one place that says where each partition is read from."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from typing import Any, Protocol

import faust
import structlog
from confluent_kafka import KafkaException

from schemas.errors import RiverwatchError
from streams.kafka.extent import is_another
from streams.kafka.outages import Outage
from streams.kafka.partitions import Partitions
from streams.kafka.tp import TP
from streams.settings import Settings
from streams.transport import Chunk, ChunkConsumer, ChunkSchema, ChunkTransport, Ledger, watch
from streams.transport.credentials import credentials

log = structlog.get_logger()


class FaustDied(RiverwatchError):
    """A part of Faust crashed."""


class RecordsMissed(RiverwatchError):
    """Records were fetched and never arrived: going on would lose them, so the worker starts anew."""


class Agent(Protocol):
    """What an agent of ours offers to the app."""

    async def assigned(self, committed: Mapping[TP, int | None]) -> Mapping[TP, int]:
        """These partitions are ours from now on: where to begin reading."""
        ...

    async def records_arrived(self, tp: TP, records: Sequence[Any]) -> None:
        """One fetch of a partition, in offset order."""
        ...

    def position(self, tp: TP) -> int | None:
        """The next offset that is expected; None for a partition that is not ours."""
        ...


class DataAgent(Agent, Protocol):
    """The agent of all topics that are not Riverwatch's own: others may delete those and make them anew."""

    def topic_id(self, topic: str) -> str:
        """The id of the topic that is read."""
        ...

    async def made_anew(self, tp: TP, topic_id: str) -> None:
        """The partition's topic has been replaced by another one, whose records come next, from the first one on."""
        ...

    async def lost(self, tp: TP, begin: int, end: int) -> None:
        """The offsets from ``begin`` to before ``end`` were deleted by retention before they were read."""
        ...


class _FaustApp(faust.App):
    def _create_directories(self) -> None:
        """Nothing of a worker is on disk: Faust would leave empty folders wherever one is started."""


class App:
    """A worker's Faust app around its agents: ``named`` read Riverwatch's own topics, ``data`` the rest.

    ``generation`` is that of the consumer group in which the partitions were assigned that the agents have. ``failed``
    is called with any exception of an agent: Faust itself would skip the event and go on, which loses
    it at the next restart.
    """

    def __init__(
        self,
        settings: Settings,
        ledger: Ledger,
        *,
        data: DataAgent,
        named: Mapping[str, Agent],
        failed: Callable[..., None],
    ) -> None:
        self._settings = settings
        self._data = data
        self._named = {settings.topic(name): agent for name, agent in named.items()}
        self._failed = failed
        self._partitions = Partitions(settings.client())
        self.generation = -1
        self.assigned = asyncio.Event()
        self._settled = asyncio.Event()
        self.faust = _FaustApp(
            settings.group,
            broker=["kafka://" + broker.strip() for broker in settings.brokers.split(",")],
            broker_credentials=credentials(settings.kafka),
            broker_client_id=settings.node_id,
            broker_session_timeout=settings.session_timeout,
            broker_heartbeat_interval=settings.session_timeout / 10,
            broker_rebalance_timeout=max(15.0, settings.session_timeout),
            # Faust refuses sessions that are longer than its requests may take.
            broker_request_timeout=max(90.0, 1.5 * settings.session_timeout),
            broker_commit_interval=settings.commit_interval,
            consumer_auto_offset_reset="earliest",
            consumer_max_fetch_size=settings.fetch_bytes,
            consumer_metadata_max_age_ms=int(settings.topic_refresh_interval * 1000),
            key_serializer="raw",
            value_serializer="raw",
            store="memory://",
            stream_wait_empty=False,
            # A message is a whole fetch of up to a megabyte: Faust's default of 4096 would be gigabytes.
            stream_buffer_maxsize=8,
            topic_allow_declare=False,
            topic_disable_leader=True,
            web_enabled=False,
            autodiscover=False,
        )
        self.faust.transport = ChunkTransport(
            self.faust.conf.broker_consumer,
            self.faust,
            ledger=ledger,
            start_hook=self._starts,
            same_topics=self._made_anew,
        )
        # 45 s otherwise, in which a detector that was started would read nothing.
        self.faust.topics._resubscribe_sleep_lock_seconds = 0.1
        for name, agent in self._named.items():
            self._declare(agent, name)
        self._data_topic = self._declare(data)
        self.faust.topics.data_schema = self._data_topic.schema

    def _declare(self, agent: Agent, *topics: str) -> Any:
        raw = {"key_type": bytes, "value_type": bytes, "key_serializer": "raw", "value_serializer": "raw"}
        topic = self.faust.topic(*topics, schema=ChunkSchema(**raw))

        async def read(stream: Any) -> None:
            async for event in stream.events():
                try:
                    await self._settled.wait()
                    if event.message.generation_id != self.faust.consumer_generation_id:
                        continue  # fetched before a rebalance: reading has begun anew since then
                    tp, chunk = event.message.tp, event.value
                    position = agent.position(tp)
                    if position is not None and chunk.follows is not None and chunk.follows > position:
                        raise RecordsMissed(f"{tp} is read from {chunk.follows} on, expected was {position}")
                    if chunk.records:
                        await agent.records_arrived(tp, chunk.records)
                    else:
                        await self._happened(tp, chunk)
                except Exception as error:
                    self._failed(error)
                    raise

        name = "-".join(topics) or "data"
        self.faust.agent(topic, name=f"{type(agent).__module__}.{name}")(read)
        return topic

    async def _happened(self, tp: TP, chunk: Chunk) -> None:
        if tp.topic in self._named:
            log.error("records were deleted by retention before they were read", partition=str(tp), offsets=chunk.lost)
        elif chunk.topic_id is not None:
            await self._data.made_anew(tp, chunk.topic_id)
        elif chunk.lost is not None:
            await self._data.lost(tp, *chunk.lost)

    async def _drop_what_was_lost(self) -> None:
        """Make the agents give up everything if the group has had a generation without this worker.

        Somebody else may have owned a partition that is ours again: going on from what is in memory, under an epoch
        that is no longer the highest, would write what all readers refuse.
        """
        generation = self.faust.consumer_generation_id
        missed, self.generation = generation not in (self.generation, self.generation + 1), generation
        if missed:
            for agent in (*self._named.values(), self._data):
                await agent.assigned({})

    async def _made_anew(self, tps: Iterable[TP]) -> dict[TP, str]:
        theirs = [tp for tp in tps if tp.topic not in self._named]
        while True:
            try:
                ids = await asyncio.to_thread(self._partitions.ids, {tp.topic for tp in theirs}) if theirs else {}
                return {
                    tp: ids[tp.topic]
                    for tp in theirs
                    if tp.topic in ids and is_another(self._data.topic_id(tp.topic), ids[tp.topic])
                }
            except KafkaException as error:
                log.warning("topics can't be looked up", error=str(error))
                await asyncio.sleep(1.0)

    async def _starts(self, committed: Mapping[TP, int | None]) -> dict[TP, int]:
        await self._drop_what_was_lost()
        starts: dict[TP, int] = {}
        # Faust may let records flow already, when one rebalance follows another: they wait for their agents.
        self._settled.clear()
        try:
            for name, agent in self._named.items():
                starts.update(await agent.assigned({tp: at for tp, at in committed.items() if tp.topic == name}))
            starts.update(
                await self._data.assigned({tp: at for tp, at in committed.items() if tp.topic not in self._named})
            )
        except Exception as error:
            self._failed(error)
            raise
        self.assigned.set()
        self._settled.set()
        return starts

    def read(self, topics: Set[str]) -> None:
        """Make the data agent read exactly these topics; to be called again and again.

        Faust forgets a change of topics that falls into a rebalance, so what is not subscribed is asked for anew.
        """
        watch(self.faust, self._data_topic, topics)
        if not self.faust.started or self.faust.rebalancing:
            return
        consumer = self.faust.consumer._thread._consumer
        if consumer is not None and not topics <= consumer.subscription():
            self.faust.topics._flag_changes()

    def check(self) -> None:
        """Raise what Faust died of: it goes on as a shell that reads nothing, which looks like having no records."""
        if self.faust.crashed:
            raise FaustDied(repr(self.faust.crash_reason)) from self.faust.crash_reason

    def at_end(self, tp: TP, offset: int) -> float | None:
        """When Kafka last confirmed that nothing follows ``offset``, as monotonic time: see ``ChunkConsumer``."""
        return None if self.faust.rebalancing else self._consumer.at_end(tp, offset)

    def outage(self, tp: TP) -> Outage | None:
        """Kafka's latest outage, as far as this partition was asked for."""
        return self._consumer.outage(tp)

    def doubt(self, tp: TP) -> None:
        """Look whether the partition's topic has been made anew before any more of it is read."""
        self._consumer.doubt(tp)

    @property
    def _consumer(self) -> ChunkConsumer:
        consumer: ChunkConsumer = self.faust.consumer
        return consumer
