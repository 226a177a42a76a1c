"""A run that is behind its source reads what it lacks by itself, beside the live reading, until they meet."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from streams.error_codes import AWAY, GONE
from streams.ingest.record import Record
from streams.ingest.source import RunSource, Source
from streams.settings import Settings

Take = Callable[[Source, RunSource, Sequence[Record], int], Awaitable[None]]
"""What takes the records in: (source, run, records, the reader's next offset)."""

SLICE = 5_000
"""Records folded in one go: live reading of the same source waits for at most so many."""


class CatchUp:
    """Reads a source's partition from the run's offset up to where the source is."""

    def __init__(self, settings: Settings, source: Source, run: RunSource, take: Take) -> None:
        self._settings = settings
        self._source = source
        self._run = run
        self._take = take

    async def run(self) -> None:
        """Return when the run has joined its source, has ended, or its source is no longer ours."""
        source, run = self._source, self._run
        consumer = Consumer(
            self._settings.client(
                **{
                    "group.id": self._settings.group + "-reader",
                    "enable.auto.commit": False,
                    # Where retention was faster: the default is the end, and would leave out what is still there.
                    "auto.offset.reset": "earliest",
                    "fetch.wait.max.ms": 50,
                }
            ),
            logger=None,
        )
        try:
            consumer.assign([TopicPartition(source.topic, source.partition, run.windows.offset)])
            while source.has(run) and not run.joined:
                messages = await asyncio.to_thread(consumer.consume, SLICE, 0.2)
                records = [Record(message) for message in messages if _usable(message)]
                position = consumer.position([TopicPartition(source.topic, source.partition)])[0].offset
                await self._take(source, run, records, position)
        finally:
            await asyncio.to_thread(consumer.close)


def _usable(message: Message) -> bool:
    error = message.error()
    if error is None:
        return True
    # A topic that is gone is taken out of the run, which ends this.
    if error.code() in (*AWAY, *GONE, KafkaError._PARTITION_EOF):
        return False
    raise KafkaException(error)
