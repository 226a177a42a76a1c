"""What Kafka's answers to fetches say: when it answered last, and where each partition ended then.

It also says what aiokafka passes over in silence: that retention deleted records before they were read, and that a
fetch failed, after which a topic may be another one of the same name.

aiokafka keeps the wall-clock time of an answer's arrival. That is not enough to tell that a source is quiet: a process
that was stopped for a minute finds an answer from before in its socket and takes it for news. So each answer has the
monotonic time up to which it certainly speaks.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import aiokafka.consumer.consumer
from aiokafka.consumer.fetcher import Fetcher

from streams.kafka.outages import Outages
from streams.kafka.tp import TP

FETCH_WAIT_MS = 250
"""How long Kafka holds back the answer to a fetch when there is nothing to read."""

OPEN_TRANSACTION_SECONDS = 60.0
"""How long the records of an open transaction count as following.

They will be readable when it commits, and windows that close before would lose them. But a producer that hangs must not
hold windows for ever: after Kafka's default ``transaction.timeout.ms`` an open transaction is no longer waited for.
"""


LOOK_SECONDS = 0.1
"""How often the positions of all partitions are looked at."""

DOUBT_SECONDS = 1.0
"""Without an answer for so long, a topic may have been deleted and made anew between two fetches."""


@dataclass(frozen=True)
class Answer:
    """Kafka's latest answer about one partition, valid at the monotonic time ``at``.

    ``stable`` is the last stable offset: what lies before it can be read. ``end`` is the high watermark; between
    the two there is an open transaction, the first undecided one since ``stable_since``.
    """

    at: float
    stable: int
    end: int
    stable_since: float

    def followed_by(self, at: float, stable: int, end: int) -> Answer:
        """The next answer.

        >>> Answer(1.0, 5, 9, 1.0).followed_by(2.0, 5, 9)
        Answer(at=2.0, stable=5, end=9, stable_since=1.0)
        >>> Answer(1.0, 5, 9, 1.0).followed_by(2.0, 9, 9)
        Answer(at=2.0, stable=9, end=9, stable_since=2.0)
        """
        if stable == self.stable and self.stable < self.end:
            return replace(self, at=at, end=end)
        return Answer(at, stable, end, at)

    def reached(self, position: int) -> bool:
        """Whether nothing followed ``position`` that will ever be read.

        >>> Answer(1.0, 9, 9, 1.0).reached(9), Answer(1.0, 5, 9, 1.0).reached(5), Answer(99.0, 5, 9, 1.0).reached(5)
        (True, False, True)
        """
        if position >= self.end:
            return True
        return position >= self.stable and self.at - self.stable_since > OPEN_TRANSACTION_SECONDS


class WatchedFetcher(Fetcher):
    """aiokafka's fetcher, which also keeps the latest ``Answer`` about each partition in ``answers``.

    ``doubts`` counts for each partition how often fetches failed or paused. ``jumps`` has those whose position was out
    of range: where it was, and where reading goes on. It runs in the consumer's thread; other threads may read
    ``answers``, whose values are never changed.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.answers: dict[TP, Answer] = {}
        self.doubts: Counter[TP] = Counter()
        self.jumps: dict[TP, tuple[int, int]] = {}
        self.outages = Outages()
        self._out_of_range: dict[TP, int] = {}
        self._looked_at = 0.0

    def forget(self) -> None:
        """Partitions have been assigned: what was heard before says nothing about what is read now.

        Doubts stay: a topic may have been made anew after its id was looked up for the assignment. So do outages: an
        assignment often comes of one.
        """
        self.answers, self.jumps, self._out_of_range = {}, {}, {}

    def positions(self, assignment: Any, fetched: Iterable[TP]) -> dict[TP, int]:
        """Where the consumer stands now: of what was just fetched, and of all partitions a few times a second.

        Of all, since a position passes markers without a record; not at each call, of which there may be thousands.
        """
        now = time.monotonic()
        if now - self._looked_at >= LOOK_SECONDS:
            self._looked_at, fetched = now, assignment.tps
        states = ((TP(*tp), assignment.state_value(tp)) for tp in fetched)
        return {tp: state.position for tp, state in states if state is not None and state.has_valid_position}

    async def _proc_fetch_request(self, assignment: Any, node_id: int, request: Any) -> bool:
        asked_for = {
            TP(topic, partition): (offset, assignment.state_value((topic, partition)))
            for topic, partitions in request.topics
            for partition, offset, *_ in partitions
        }
        for _, state in asked_for.values():
            state.timestamp = None
        asked = time.monotonic()
        self.outages.asked(asked_for, asked)
        try:
            has_records = bool(await super()._proc_fetch_request(assignment, node_id, request))
        except asyncio.CancelledError:
            self.outages.withdrawn(asked_for, time.monotonic())
            raise
        at = min(time.monotonic(), asked + FETCH_WAIT_MS / 1000)
        for tp, (offset, state) in asked_for.items():
            if state.timestamp is None:  # set only by an answer without an error
                self.doubts[tp] += 1
                if state.awaiting_reset:
                    self._out_of_range[tp] = offset
                continue
            self.outages.answered(tp, time.monotonic())
            stable = state.highwater if state.lso is None else state.lso
            before = self.answers.get(tp, Answer(at, stable, state.highwater, at))
            if asked - before.at > DOUBT_SECONDS:
                self.doubts[tp] += 1
            self.answers[tp] = before.followed_by(at, stable, state.highwater)
        return has_records

    async def _update_fetch_positions(self, assignment: Any, node_id: int, tps: Iterable[Any]) -> bool:
        wakes_up = bool(await super()._update_fetch_positions(assignment, node_id, tps))
        for tp in [TP(*tp) for tp in tps if tp in self._out_of_range]:
            state = assignment.state_value(tp)
            if state.has_valid_position:
                self.jumps[tp] = (self._out_of_range.pop(tp), state.position)
        return wakes_up


aiokafka.consumer.consumer.Fetcher = WatchedFetcher
