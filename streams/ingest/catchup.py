"""A run that is behind its source reads what it lacks by itself, beside the live reading, until they meet."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from streams.error_codes import AWAY, GONE
from streams.ingest.record import Record
from streams.ingest.source import RunSource, Source
from streams.settings import Settings

log = structlog.get_logger()

Fold = Callable[[Source, RunSource, Sequence[Record], int], Awaitable[None]]

SLICE = 5_000
"""Records folded in one go: live reading of the same source waits for at most so many."""


class CatchUp:
    """Reads a source's partition from the run's offset up to where the source is, then joins the two."""

    def __init__(self, settings: Settings, source: Source, run: RunSource, fold: Fold) -> None:
        self._settings = settings
        self._source = source
        self._run = run
        self._fold = fold

    async def run(self) -> None:
        """Return when the run has joined its source, or has ended."""
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
            while source.runs.get(run.plan.owner) is run and not run.joined:
                messages = await asyncio.to_thread(consumer.consume, SLICE, 0.2)
                records = [Record(message) for message in messages if _usable(message)]
                position = consumer.position([TopicPartition(source.topic, source.partition)])[0].offset
                async with source.lock:
                    # The run may have ended while we read: then nobody decodes for it any more.
                    if source.runs.get(run.plan.owner) is run:
                        await self._take(records, position)
        finally:
            await asyncio.to_thread(consumer.close)

    async def _take(self, records: list[Record], position: int) -> None:
        source, run = self._source, self._run
        records = [record for record in records if record.offset < source.offset]
        if records:
            await self._fold(source, run, records, records[-1].offset + 1)
        # Compaction and transactions leave no record right before an offset: the position says it was passed.
        if run.windows.offset >= source.offset or position >= source.offset:
            run.windows.skip_to(source.offset)
            run.joined = True
            log.info(
                "run has caught up",
                run=run.plan.owner,
                topic=source.topic,
                partition=source.partition,
                offset=source.offset,
            )


def _usable(message: Message) -> bool:
    error = message.error()
    if error is None:
        return True
    # A topic that is gone is taken out of the run, which ends this.
    if error.code() in (*AWAY, *GONE, KafkaError._PARTITION_EOF):
        return False
    raise KafkaException(error)
