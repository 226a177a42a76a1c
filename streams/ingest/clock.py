"""The clock of a source: when it may go on although no record comes.

Three cases of a quiet source need care, or records are lost or windows never come:

* it is live (its last record's event time was about the wall clock when it arrived): the clock goes on ticking
  at wall speed, so that the window comes out on time;
* it is a replay (old event times): the clock stands still, since the rest of the window may be about to arrive;
  only after a long silence are the open windows closed;
* it has never had a record: it holds nobody back.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Tick:
    """What a quiet source's clock says: go on to ``clock`` (None: stand still), close everything, count as idle."""

    clock: int | None = None
    close_open: bool = False
    idle: bool = False


STAND_STILL = Tick()

MOST_LAG_MS = 30_000
"""Our own lag excuses at most this: producers that stamp their records with old event times are replays."""


class SourceClock:
    """The clock of one run on one source. All times are epoch ms, and ``now`` is the wall clock.

    ``tick_grace_ms``: a live source must be quiet for so long before its clock ticks, and it stays so far behind the
    wall. Without this every record of a slow source would be late that took a little longer on its way than the one
    before it, whenever a window ended in between.
    """

    def __init__(self, now: int, *, tick_grace_ms: int, idle_timeout_ms: int, start_timeout_ms: int) -> None:
        self._started = now
        self._tick_grace_ms = tick_grace_ms
        self._idle_timeout_ms = idle_timeout_ms
        self._start_timeout_ms = start_timeout_ms
        self._event_time: int | None = None
        self._arrived = now
        self._lag_ms = 0

    def observe(self, event_time: int, now: int, written: int | None = None) -> None:
        """A record has arrived; ``event_time`` is the highest event time seen so far.

        ``written`` is the record's timestamp in Kafka: a live record that we come to read late, after a rebalance
        say, is still a live one.
        """
        self._event_time = event_time
        self._arrived = now
        self._lag_ms = 0 if written is None else min(max(now - written, 0), MOST_LAG_MS)

    def at(self, now: int, interval_ms: int, delay_ms: int) -> Tick:
        """What the clock of a source that has been read to its end says now.

        >>> clock = SourceClock(0, tick_grace_ms=500, idle_timeout_ms=30_000, start_timeout_ms=5_000)
        >>> clock.at(5_000, 1_000, 0)
        Tick(clock=None, close_open=False, idle=True)
        >>> clock.observe(9_990, now=10_000)
        >>> clock.at(10_700, 1_000, 0).clock
        10190
        """
        if self._event_time is None:
            return Tick(idle=now - self._started >= self._start_timeout_ms)
        quiet = now - self._arrived
        if abs(self._arrived - self._event_time) <= interval_ms + delay_ms + self._lag_ms:
            ahead = quiet - self._tick_grace_ms
            return Tick(clock=self._event_time + ahead) if ahead > 0 else STAND_STILL
        if quiet >= self._idle_timeout_ms:
            return Tick(close_open=True, idle=True)
        return STAND_STILL
