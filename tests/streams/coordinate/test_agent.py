"""The shell of the coordinator, on a journal in memory."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection
from typing import Any, cast

from schemas.state import StoredJob, decode_state
from streams.coordinate.agent import Coordinate
from streams.coordinate.lookup import Found, Question
from streams.dead_letters import DeadLetters
from streams.kafka.clock import KafkaClock
from streams.kafka.tp import TP
from streams.kafka.unreadable import Unreadable
from streams.settings import Settings
from streams.transport import Ledger
from tests.schemas.documents import detector
from tests.streams.coordinate.coordinator import RANGES
from tests.streams.coordinate.memory import Log, MemoryJournal
from tests.streams.ingest.plans import Record
from tests.streams.memory import MemoryLog

SETTINGS = Settings(brokers="127.0.0.1:1", prefix="t.", session_timeout=0.1)
CONTROL = TP(SETTINGS.topic("control"), 0)
NOW = 1_700_000_000_000

COMMANDS = [
    Record(0, json.dumps({"type": "detector.put", "detector_id": "d", "detector": detector(name="d")}).encode()),
    Record(1, b'{"type":"job.start","detector_id":"d"}'),
]


class NoTopics:
    """Topics of which only the ranges are asked for."""

    def partitions(self) -> dict[str, list[int]]:
        return {"srv": [0, 1]}

    def ids(self, topics: Collection[str]) -> dict[str, str]:
        return {}

    def answer(self, question: Question) -> Found:
        return Found(RANGES, {})

    def end_of_control(self) -> int:
        return len(COMMANDS)


def coordinator(log: Log) -> Coordinate:
    """One whose wall clock has stood still since 1970."""
    clock, outbox = KafkaClock(wall=lambda: 0.0, monotonic=lambda: 100.0), MemoryLog()
    clock.sample(sent=100.0, reported=100.0, appended_ms=NOW)
    return Coordinate(
        SETTINGS,
        MemoryJournal(log),
        cast(Any, outbox),
        Ledger(),
        clock=clock,
        topics=NoTopics(),
        dead_letters=DeadLetters(SETTINGS, outbox),
        unreadable=Unreadable(),
    )


def test_documents_have_kafkas_time_whatever_the_worker_takes_for_the_time() -> None:
    log = Log()

    async def main() -> None:
        coordinate = coordinator(log)
        await coordinate.assigned({CONTROL: 0})
        await coordinate.records_arrived(CONTROL, COMMANDS)
        coordinate.stop()

    asyncio.run(main())
    job = decode_state(log.folded("state")["d"])
    assert isinstance(job, StoredJob)
    assert (job.document.enabled_time, job.document.last_update_time) == (NOW, NOW)


def test_who_regains_the_partition_while_an_old_fetch_waits_does_not_go_back() -> None:
    async def main() -> int | None:
        log = Log()
        paused, other = coordinator(log), coordinator(log)
        await paused.assigned({CONTROL: 0})
        await paused.ready()
        await other.assigned({CONTROL: 0})
        await other.records_arrived(CONTROL, COMMANDS)
        # It is fenced, and waits for its turn to read everything anew.
        waiting = asyncio.create_task(paused.records_arrived(CONTROL, COMMANDS[:1]))
        await asyncio.sleep(0.01)
        await paused.assigned({})
        await paused.assigned({CONTROL: len(COMMANDS)})
        await waiting
        position = paused.position(CONTROL)
        paused.stop()
        other.stop()
        return position

    assert asyncio.run(main()) == len(COMMANDS)
