"""The journal in Kafka: the broker fences coordinators, since all of them are the same transactional producer."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from streams.coordinate.journal import Entry, Held, JournalLost, JournalUnavailable
from streams.kafka.read import read_to_end
from streams.settings import Settings

TRANSACTION_SECONDS = 30
"""A transaction that is open for longer is aborted by Kafka. Until then nobody reads what was written after it: for so
long views stand still when the only worker dies in the middle of one."""

OPEN_SECONDS = 20.0
"""So long a Kafka that is well needs at most to let a producer begin, a transaction of the one before included."""

_ADVICE = {
    KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED: "allow Write and Describe on the transactional id {id}",
    KafkaError.CLUSTER_AUTHORIZATION_FAILED: "allow IdempotentWrite on the cluster",
}
_UNABLE = (
    "the cluster must be able to run transactions: transaction.state.log.replication.factor and .min.isr must not be"
    " larger than the number of brokers"
)


class KafkaJournal:
    """Opens transactions as ``PREFIX`` + ``coordinator``; see ``Journal``."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._id = settings.topic("coordinator")
        self._producer: Producer | None = None
        self._closed = threading.Event()

    def close(self) -> None:
        """Wait no longer for Kafka, in whichever thread."""
        self._closed.set()

    def open(self) -> None:
        self._producer = None
        producer = Producer(
            self._settings.client(
                **{
                    "transactional.id": self._id,
                    "transaction.timeout.ms": TRANSACTION_SECONDS * 1000,
                    "linger.ms": 0,
                    "compression.type": self._settings.compression,
                    "partitioner": "murmur2_random",
                    "message.max.bytes": 17_000_000,
                }
            ),
            logger=None,
        )
        try:
            producer.init_transactions(OPEN_SECONDS)
        except KafkaException as error:
            raise JournalUnavailable(self._explained(producer, error.args[0])) from error
        self._producer = producer

    def _explained(self, producer: Producer, error: KafkaError) -> str:
        advice = _ADVICE.get(error.code(), "").format(id=self._id)
        if not advice and error.retriable():
            try:
                producer.list_topics(timeout=5.0)
            except KafkaException:
                return f"Kafka does not answer: {error.str()}"
            advice = _UNABLE
        return f"no transaction can begin: {error.str()}" + (f"; {advice}" if advice else "")

    def read(self) -> Iterator[Held]:
        try:
            for name in ("detectors", "state"):
                for message in read_to_end(self._settings.client(), self._settings.topic(name), [0]):
                    yield Held(name, message.key(), message.value(), message.offset())
        except KafkaException as error:
            raise JournalUnavailable(f"Kafka does not answer: {error.args[0].str()}") from error

    def commit(self, entries: Sequence[Entry], replies: Callable[[Sequence[int]], Sequence[Entry]]) -> list[int]:
        producer, self._producer = self._producer, None
        if producer is None:
            raise JournalLost("it is not open")
        try:
            producer.begin_transaction()
            offsets = self._write(producer, entries)
            self._write(producer, replies(offsets))
            self._finish(producer)
        except (KafkaException, BufferError, SystemError) as error:
            # A SystemError is the client's way to say that it was fenced: it raises that while our delivery callbacks
            # run, which Python complains about.
            reason = error.args[0]
            # What was begun is aborted when the journal is opened the next time, by whomever.
            refused = isinstance(reason, KafkaError) and reason.code() in (
                KafkaError.MSG_SIZE_TOO_LARGE,
                KafkaError.INVALID_RECORD,
            )
            raise JournalLost(str(reason), refused=refused) from error
        self._producer = producer
        return offsets

    def _write(self, producer: Producer, entries: Sequence[Entry]) -> list[int]:
        offsets = [-1] * len(entries)
        failures: list[KafkaError] = []

        def delivery(place: int) -> Callable[[KafkaError | None, Message], None]:
            def delivered(error: KafkaError | None, message: Message) -> None:
                if error is not None:
                    failures.append(error)
                else:
                    offsets[place] = message.offset()

            return delivered

        for place, entry in enumerate(entries):
            producer.produce(
                self._settings.topic(entry.topic),
                value=entry.value,
                key=entry.key,
                partition=entry.partition,
                headers=entry.headers,
                on_delivery=delivery(place),
            )
        while producer.flush(1.0) and not failures:
            self._check()
        if failures:
            raise KafkaException(failures[0])
        return offsets

    def _finish(self, producer: Producer) -> None:
        while True:
            try:
                return producer.commit_transaction(5.0)
            except KafkaException as error:
                # Whether it was committed is not known then: the same call finds out.
                if not error.args[0].retriable():
                    raise
            self._check()

    def _check(self) -> None:
        if self._closed.is_set():
            raise JournalLost("the worker stops")
