"""The rules of the watermark, record by record and in plain Python: what the fast one is compared with."""

from __future__ import annotations

import math
from fractions import Fraction

JUMP = 60_000


class PlainWatermark:
    """As ``streams.ingest.watermark.Watermark``. It keeps everything it has seen."""

    def __init__(self, delay: int | None, most: int) -> None:
        self.fixed = delay
        self.most = most
        self.jump = max(JUMP, delay or 0)
        self.time: int | None = None
        self.frontier: int | None = None
        self.held = False
        self.ahead: list[int] = []
        self.disorders: list[tuple[int, int]] = []

    @property
    def delay(self) -> int:
        if self.fixed is not None:
            return self.fixed
        assert self.time is not None
        left = [Fraction(11 * delay, 10) - Fraction(self.time - then, 100) for delay, then in self.disorders]
        return min(self.most, math.ceil(max([Fraction(0), *left])))

    def take(self, time: int, written: int) -> None:
        """One record; ``written`` is its Kafka timestamp, not above 0 for none."""
        before = self.time
        limit = min(time, written) if written > 0 else time
        if before is None:
            self.ahead.append(limit)
            if len(self.ahead) == 3:
                self.time, self.ahead = self.landing(), []
        elif limit > before + self.jump:
            self.ahead.append(limit)
            if len(self.ahead) >= 3 and sorted(self.ahead[-3:])[1] - min(self.ahead[:3]) >= self.jump:
                self.time = self.landing()
        else:
            self.time = max(before, limit)
            if limit >= before - self.jump:
                self.ahead = []
        if before is not None and self.time is not None and not self.held and 0 < before - time <= self.most:
            self.disorders.append((before - time, self.time))
        self.move_frontier()

    def landing(self) -> int:
        last = self.ahead[-3:]
        return max(time for time in last if time <= sorted(last)[1] + self.jump)

    def advance(self, time: int) -> None:
        if self.time is None or time > self.time:
            self.time, self.ahead = time, []
        self.move_frontier()

    def hold(self, held: bool) -> None:
        self.held = held
        self.move_frontier()

    def move_frontier(self) -> None:
        if self.time is not None and not self.held:
            now = self.time - self.delay
            self.frontier = now if self.frontier is None else max(self.frontier, now)
