"""The scheduler: simulated time, what happens next, and the trace of what happened."""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable
from typing import Protocol

from tests.simulation.log import Log

EPOCH_MS = 1_800_000_000_000
"""The wall clock when a simulation begins: a whole minute."""


class Runner(Protocol):
    """Something with a loop of its own: a worker's process."""

    def next_at(self) -> float | None:
        """When it wants to run."""
        ...

    def run(self) -> None:
        """Let it do all that is due."""
        ...


class World:
    """One simulation. ``now`` is seconds since its start; equal seeds lead to equal histories.

    ``trace`` has a line for each fault, restart and rebalance: the story of a seed, short enough to be read.
    """

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.log = Log()
        self.now = 0.0
        self.trace: list[str] = []
        self.runners: list[Runner] = []
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()

    @property
    def now_ms(self) -> int:
        """Kafka's clock: epoch ms."""
        return EPOCH_MS + int(self.now * 1000)

    def say(self, line: str) -> None:
        """Add to the trace."""
        self.trace.append(f"{self.now:8.2f}  {line}")

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        """Let something happen later."""
        heapq.heappush(self._events, (self.now + seconds, next(self._numbers), action))

    def run(self, until: Callable[[], bool], at_most: float) -> bool:
        """Go on until a condition holds, which is looked at once a second; False if it does not in time."""
        look = self.now
        while self.now < at_most:
            if self.now >= look:
                if until():
                    return True
                look = self.now + 1.0
            moments = [at for runner in self.runners if (at := runner.next_at()) is not None]
            if self._events:
                moments.append(self._events[0][0])
            self.now = max(self.now, min([look, *moments]))
            while self._events and self._events[0][0] <= self.now:
                heapq.heappop(self._events)[2]()
            for runner in self.runners:
                at = runner.next_at()
                if at is not None and at <= self.now:
                    runner.run()
        return until()
