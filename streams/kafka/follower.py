"""Follows Kafka topics from their beginning and hands what they carry on, in batches.

One thread, one consumer, no group: every process reads everything. The end of each partition is noted when the
follower starts; it is *caught up* once all of them have been passed.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import structlog
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

from streams.kafka.reading import READING
from streams.kafka.silence import SilentLogger

log = structlog.get_logger()

PROBE_SECONDS = 2.0
"""How often a silent broker is asked whether it is still there."""

PROBE_TIMEOUT = 4.0
BATCH = 2000
RETRY_SECONDS = 0.5
FEW = 100
"""So few records at a time are no stream that would be worth waiting for."""


class NotNow(Exception):
    """Whoever gets the records cannot take them now; the message says why."""


@dataclass(frozen=True, slots=True)
class KafkaRecord:
    """One record: ``topic`` is the short name, ``value`` None a tombstone, ``time`` Kafka's timestamp (ms)."""

    topic: str
    partition: int
    offset: int
    key: str
    value: bytes | None
    time: int


@dataclass(frozen=True)
class Followed:
    """A topic to follow. ``positions`` gives, for ``stored``, the next offset of each partition known already.

    It may raise ``NotNow``.
    """

    name: str
    full_name: str
    start: Literal["beginning", "end", "stored"]
    positions: Callable[[], Mapping[int, int]] = dict


class Follower:
    """Reads the topics in a thread and calls ``deliver`` there with each batch, in order per partition.

    ``deliver`` returns when the batch is applied: the next one waits for it. When it raises ``NotNow``, ``problem``
    says why, and the follower begins again where it had begun, for ``stored`` where ``positions`` then says. After an
    error of Kafka's it goes on where it was. Any other exception ends the follower: ``failure`` then says why.

    Where a large batch costs little more than a small one, ``pause`` is how many seconds a stream of records that
    leaves batches smaller than ``batch`` is left to grow.
    """

    def __init__(
        self,
        client: Mapping[str, str],
        topics: Sequence[Followed],
        deliver: Callable[[list[KafkaRecord]], None],
        *,
        batch: int = BATCH,
        pause: float = 0.0,
    ) -> None:
        self._batch, self._pause = batch, pause
        self._client = dict(client)
        self._topics = {topic.full_name: topic for topic in topics}
        self._deliver = deliver
        self._positions: dict[tuple[str, int], int] = {}
        self._ends: dict[tuple[str, int], int] | None = None
        self._caught_up = False
        self._written: set[str] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="follower", daemon=True)
        self.problem: str | None = "Kafka has not been reached yet"
        self.failure: str | None = None

    def start(self) -> None:
        """Begin to follow; returns at once."""
        self._thread.start()

    def stop(self, seconds: float | None = None) -> None:
        """End the thread, which closes the consumer; wait for it, or at most so many seconds."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(seconds)

    @property
    def caught_up(self) -> bool:
        """Whether the ends seen at the start have all been passed; stays true from then on."""
        if not self._caught_up and self._ends is not None:
            self._caught_up = all(self._positions.get(at, 0) >= end for at, end in self._ends.items())
        return self._caught_up

    def why_incomplete(self) -> str | None:
        """Why what follows is not complete now, None when it is."""
        if self.failure is not None:
            return f"reading Kafka has failed for good: {self.failure}"
        if self.problem is not None or self.caught_up:
            return self.problem
        left = sum(max(0, end - self._positions.get(at, 0)) for at, end in (self._ends or {}).items())
        return f"the views are being built: {left} records to go"

    async def until_passed(self, name: str, ends: Mapping[int, int]) -> None:
        """Wait until the records of a topic before these offsets, by partition, have been delivered."""
        positions = self._positions
        while any(positions.get((name, at), 0) < end for at, end in ends.items()):  # noqa: ASYNC110 -- a thread moves it
            await asyncio.sleep(0.02)

    def ever_written(self, name: str) -> bool:
        """Whether the topic has ever held a record, even one that is gone by now."""
        return name in self._written or any(
            topic == name and position > 0 for (topic, _), position in self._positions.items()
        )

    def note_written(self, names: Iterable[str]) -> None:
        """Records of these topics are being delivered: whoever is told of them must find them written."""
        self._written.update(names)

    def _run(self) -> None:
        while not self._stop.is_set():
            consumer = Consumer(
                {
                    **self._client,
                    **READING,
                    "enable.partition.eof": True,
                    "auto.offset.reset": "earliest",
                    "fetch.wait.max.ms": 100,
                    "topic.metadata.refresh.interval.ms": 30_000,
                    "error_cb": self._client_error,
                    "logger": SilentLogger(),
                }
            )
            try:
                if self._assign(consumer):
                    self._follow(consumer)
                    return
            except KafkaException as error:
                self.problem = f"Kafka cannot be used: {error}"
                log.warning("kafka is not usable", error=str(error))
            except NotNow as error:
                if self.problem != str(error):
                    log.warning("records cannot be taken", reason=str(error))
                self.problem = str(error)
                # What was taken may be gone: complete is what follows when it has been read again.
                self._ends, self._caught_up = None, False
            except Exception as error:
                self.failure = f"{type(error).__name__}: {error}"
                log.exception("the follower ended")
                return
            finally:
                consumer.close()
            self._stop.wait(RETRY_SECONDS)

    def _assign(self, consumer: Consumer) -> bool:
        """Assign every partition of every topic; False while the broker or a topic is not there."""
        known = consumer.list_topics(timeout=PROBE_TIMEOUT).topics
        missing = sorted(name for name in self._topics if name not in known or known[name].error is not None)
        if missing:
            self.problem = f"missing topics: {', '.join(missing)}; `riverwatch topics apply` creates them"
            return False
        ends: dict[tuple[str, int], int] = {}
        assignment = []
        for full_name, topic in self._topics.items():
            stored = topic.positions() if topic.start == "stored" else {}
            for partition in known[full_name].partitions:
                low, high = consumer.get_watermark_offsets(TopicPartition(full_name, partition), timeout=PROBE_TIMEOUT)
                begin = {"beginning": OFFSET_BEGINNING, "end": high}.get(topic.start)
                if self._ends is not None:
                    # Kafka failed on the way: older records once more would take a view back to what was.
                    begin = self._positions.get((topic.name, partition), begin)
                if begin is None:
                    begin = stored.get(partition, OFFSET_BEGINNING)
                    if begin > high or begin < low:  # another log than the stored one, or cut off since
                        begin = OFFSET_BEGINNING
                assignment.append(TopicPartition(full_name, partition, begin))
                ends[topic.name, partition] = high
                self._positions[topic.name, partition] = low if begin < 0 else begin
        consumer.assign(assignment)
        if self._ends is None:
            self._ends = ends
        self.problem = None
        return True

    def _follow(self, consumer: Consumer) -> None:
        heard = time.monotonic()
        while not self._stop.is_set():
            first = consumer.poll(0.2)
            if first is None:
                if time.monotonic() - heard > PROBE_SECONDS:
                    self._probe(consumer)
                    heard = time.monotonic()
                continue
            heard = time.monotonic()
            # One at a time first: consume() waits for a full batch or its timeout, which would delay a lone record.
            messages = [first, *consumer.consume(self._batch, 0)]
            self._take(messages)
            if self._pause and FEW < len(messages) < self._batch:
                self._stop.wait(self._pause)

    def _probe(self, consumer: Consumer) -> None:
        try:
            consumer.list_topics(next(iter(self._topics)), timeout=PROBE_TIMEOUT)
            if self.problem is not None:
                log.info("kafka is back")
            self.problem = None
        except KafkaException as error:
            if self.problem is None:
                log.warning("kafka is gone", error=str(error))
            self.problem = f"Kafka cannot be reached: {error.args[0].str()}"

    def _client_error(self, error: KafkaError) -> None:
        if error.code() == KafkaError._ALL_BROKERS_DOWN:
            self.problem = "Kafka cannot be reached: all brokers are down"

    def _take(self, messages: list[Message]) -> None:
        records: list[KafkaRecord] = []
        moved: dict[tuple[str, int], int] = {}
        for message in messages:
            error = message.error()
            topic = self._topics.get(message.topic() or "")
            if topic is None:
                continue
            at = (topic.name, message.partition())
            if error is None:
                _, stamp = message.timestamp()
                key = (message.key() or b"").decode("utf-8", "replace")
                records.append(KafkaRecord(topic.name, at[1], message.offset(), key, message.value(), stamp))
                moved[at] = message.offset() + 1
            elif error.code() == KafkaError._PARTITION_EOF:
                moved[at] = message.offset()
            else:
                self.problem = f"Kafka answers with an error: {error.str()}"
        if records:
            self._deliver(records)
            self.problem = None
        self._positions.update(moved)
