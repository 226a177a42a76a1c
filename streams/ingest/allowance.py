"""How long to wait for records that are late: as long as the largest delay seen of late asks for, within a bound."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Int64Array = npt.NDArray[np.int64]

SCALE = 100
"""Allowances are kept in units of 1/100 ms: they fall by 1 % of the progress of event time, exactly."""

MARGIN = 110
"""In percent of the largest delay seen: until the next one of its kind comes, the allowance has fallen a little."""


class Allowance:
    """A delay that follows the largest one seen and falls by 1 % of the progress of event time.

    Delays above ``most_ms`` are not waited for at all: such records are a replay, or lost anyway. ``peak`` is the
    whole state (None before the first delay): ``SCALE`` times the allowance, plus the event time of now.

    >>> allowance = Allowance(60_000)
    >>> allowance.see(4_000, at=0)
    >>> allowance.at(0), allowance.at(10_000), allowance.at(10**9)
    (4400, 4300, 0)
    """

    def __init__(self, most_ms: int) -> None:
        self.most = most_ms
        self.peak: int | None = None

    def at(self, time: int) -> int:
        """The allowance, in ms, when event time has come to ``time``."""
        if self.peak is None:
            return 0
        return min(max(0, -((time - self.peak) // SCALE)), self.most)

    def see(self, delay: int, at: int) -> None:
        """A record came with this delay (ms) when event time had come to ``at``."""
        if 0 < delay <= self.most:
            peak = MARGIN * delay + at
            self.peak = peak if self.peak is None else max(self.peak, peak)

    def see_all(self, delays: Int64Array, at: Int64Array) -> Int64Array:
        """The same for many records; the allowance after each of them."""
        counted = np.where(delays <= self.most, np.maximum(delays, 0), 0)
        peaks = MARGIN * counted + at
        if self.peak is not None:
            np.maximum(peaks, self.peak, out=peaks)
        np.maximum.accumulate(peaks, out=peaks)
        if self.peak is not None or counted.any():
            self.peak = int(peaks[-1])
        return np.minimum(-((at - peaks) // SCALE), self.most)
