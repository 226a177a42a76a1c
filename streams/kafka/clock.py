"""What time it is by Kafka's clock: the one that all workers share, whatever their own ones say."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Any

import structlog
from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, Message

from streams.kafka.outages import Outage, outage_between

log = structlog.get_logger()

SAMPLES = 60
"""The best of so many samples counts, one a second: a broker's clock that was set is followed within a minute."""

SKEW_TOLD_MS = 5_000
"""A worker's clock that is wrong by more is logged: a skew of NTP's own kind is far below."""


class KafkaClock:
    """The time by the clock of the broker, in epoch ms; the worker's own clock until the broker's has been seen.

    A sample is a record whose ``LogAppendTime`` the broker has set between the sending and the delivery report: the
    narrower these two, the better it tells how far the monotonic clock is from the broker's.

    >>> clock = KafkaClock(wall=lambda: 5_000.0, monotonic=lambda: 100.0)
    >>> clock.now(), clock.skew_ms
    (5000000, 0)
    >>> clock.sample(sent=99.0, reported=99.2, appended_ms=8_600_000)
    >>> clock.now(), clock.at(99.1), clock.skew_ms
    (8600900, 8600000, 3600900)

    The same records, and whatever else the worker asks for from its start on, tell of outages.
    """

    def __init__(self, wall: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._wall = wall
        self.monotonic = monotonic
        # Width and offset of each sample, in ms.
        self._samples: deque[tuple[float, float]] = deque(maxlen=SAMPLES)
        self._told: int | None = None
        self._waits_since: float | None = None
        self._outage: Outage | None = None

    @property
    def _offset(self) -> float:
        if not self._samples:
            return (self._wall() - self.monotonic()) * 1000
        return min(self._samples)[1]

    def now(self) -> int:
        """The time. It may go back a little, as every clock that is set."""
        return self.at(self.monotonic())

    def at(self, monotonic: float) -> int:
        """The time at a monotonic time."""
        return round(monotonic * 1000 + self._offset)

    @property
    def skew_ms(self) -> int:
        """How far Kafka's clock is ahead of the worker's own."""
        return self.now() - round(self._wall() * 1000)

    def sample(self, *, sent: float, reported: float, appended_ms: int) -> None:
        """A record that was sent and reported at these monotonic times has this ``LogAppendTime``."""
        middle = (sent + reported) / 2
        self._samples.append(((reported - sent) * 1000, appended_ms - middle * 1000))

    @property
    def outage(self) -> Outage | None:
        """The latest one that this worker has waited through, or waits through now, whatever it reads."""
        now = self.monotonic()
        return outage_between(now if self._waits_since is None else self._waits_since, now) or self._outage

    def asked(self) -> float:
        """Kafka is asked for something now; when that is."""
        now = self.monotonic()
        self._waits_since = now if self._waits_since is None else self._waits_since
        return now

    def answered(self) -> float:
        """Kafka has answered, now."""
        now = self.monotonic()
        if self._waits_since is not None:
            self._outage = outage_between(self._waits_since, now) or self._outage
        self._waits_since = None
        return now

    def on_delivery(self) -> Callable[[Message], None]:
        """What takes the delivery report of a record that is sent now, in whatever thread it comes."""
        sent = self.asked()

        def report(message: Any) -> None:
            reported = self.answered()
            kind, appended = message.timestamp()
            if kind != TIMESTAMP_LOG_APPEND_TIME:
                return  # topics that were made by hand: the worker's own clock has to do
            self.sample(sent=sent, reported=reported, appended_ms=appended)
            self._tell()

        return report

    def _tell(self) -> None:
        skew = self.skew_ms
        if abs(skew) > SKEW_TOLD_MS and (self._told is None or abs(skew - self._told) > SKEW_TOLD_MS):
            self._told = skew
            log.warning("this machine's clock is not Kafka's, which counts", kafka_is_ahead_ms=skew)
