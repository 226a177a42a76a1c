"""What Kafka's answers to fetches say: when it answered last, and where each partition ended then.

aiokafka keeps the wall-clock time of an answer's arrival. That is not enough to tell that a source is quiet: a process
that was stopped for a minute finds an answer from before in its socket and takes it for news. So each answer has the
monotonic time up to which it certainly speaks.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

import aiokafka.consumer.consumer
from aiokafka.consumer.fetcher import Fetcher
from faust.types import TP

FETCH_WAIT_MS = 250
"""How long Kafka holds back the answer to a fetch when there is nothing to read."""

OPEN_TRANSACTION_SECONDS = 60.0
"""How long the records of an open transaction count as following.

They will be readable when it commits, and windows that close before would lose them. But a producer that hangs must not
hold windows for ever: after Kafka's default ``transaction.timeout.ms`` an open transaction is no longer waited for.
"""


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

    It runs in the consumer's thread; other threads may read ``answers``, whose values are never changed.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.answers: dict[TP, Answer] = {}

    async def _proc_fetch_request(self, assignment: Any, node_id: int, request: Any) -> bool:
        states = {
            TP(topic, partition): assignment.state_value((topic, partition))
            for topic, partitions in request.topics
            for partition, *_ in partitions
        }
        for state in states.values():
            state.timestamp = None
        asked = time.monotonic()
        has_records = bool(await super()._proc_fetch_request(assignment, node_id, request))
        at = min(time.monotonic(), asked + FETCH_WAIT_MS / 1000)
        for tp, state in states.items():
            if state.timestamp is not None:  # set only by an answer without an error
                stable = state.highwater if state.lso is None else state.lso
                before = self.answers.get(tp, Answer(at, stable, state.highwater, at))
                self.answers[tp] = before.followed_by(at, stable, state.highwater)
        return has_records


aiokafka.consumer.consumer.Fetcher = WatchedFetcher
