"""When progress is told: once, as long as it is the same."""

from __future__ import annotations

import asyncio
from typing import Any

from schemas.command import Event, Progress, decode_event
from streams.dead_letters import DeadLetters
from streams.fencing.share import Share
from streams.kafka.clock import KafkaClock
from streams.kafka.unreadable import Unreadable
from streams.scan.work import ScanCounts
from streams.score.agent import ScoreCounts
from streams.score.partition import ModelPartition, RunScore
from streams.settings import Settings
from streams.statistics import Statistics
from tests.streams.score.test_agent import View
from tests.streams.score.test_partition import run_of


class Score:
    """The scorer of a worker that holds ``runs`` on model partition 0."""

    def __init__(self) -> None:
        self.runs: dict[str, RunScore] = {}
        self.partitions = [ModelPartition(0, 0, Share("models/0", "", 0, {}), runs=self.runs)]
        self.counts = ScoreCounts()


class NothingToRead:
    """Ingest without sources, and no scans."""

    def __init__(self) -> None:
        self.sources: list[Any] = []
        self.under_way: list[Any] = []
        self.counts = ScanCounts()


class Sent:
    """Keeps the events that are sent to the control topic."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    async def send(self, topic: str, value: bytes | None, **_: Any) -> None:
        if value is not None and topic.endswith("control"):
            self.events.append(decode_event(value))


def test_progress_is_told_once_and_again_when_the_run_was_gone() -> None:
    score, nothing, sent = Score(), NothingToRead(), Sent()
    parts: list[Any] = [
        View(run_of().running),
        sent,
        nothing,
        score,
        nothing,
        DeadLetters(Settings(), sent),
        Unreadable(),
        KafkaClock(),
    ]
    statistics = Statistics(Settings(), *parts)

    def told() -> list[Event]:
        sent.events.clear()
        asyncio.run(statistics.write())
        return list(sent.events)

    run = score.runs["d"] = run_of()
    first = told()
    assert [type(event) for event in first] == [Progress]
    assert told() == []
    score.runs.clear()
    assert told() == []
    score.runs["d"] = run
    assert told() == first
