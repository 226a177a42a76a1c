"""A quiet source: when its watermark may go on although no record comes.

Three cases need care, or records are lost or windows never come:

* it is live (its last record's event time was about Kafka's clock when it arrived): the watermark goes on with that
  clock, so that the window comes out on time;
* it is a replay (old event times): the watermark stands still, since the rest of the window may be about to arrive;
  only after a long silence are the open windows closed;
* it has never had a record: it holds nobody back.

A source is quiet only while Kafka confirms that it has been read to its end, not while Kafka does not answer.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Tick:
    """What is to happen to a quiet source: its watermark goes on (None: stands still), all closes, it is idle."""

    watermark: int | None = None
    close_open: bool = False
    idle: bool = False


STAND_STILL = Tick()

MOST_LAG_MS = 30_000
"""Our own lag excuses at most this: producers that stamp their records with old event times are replays."""


class QuietClock:
    """The time of one run on one source without records. All times are epoch ms by Kafka's clock.

    ``tick_grace_ms``: a live source must be quiet for so long before its watermark goes on, and it stays so far behind
    the clock. Without this every record of a slow source would be late that took a little longer on its way than the
    one before it, whenever a window ended in between.
    """

    def __init__(self, now: int, *, tick_grace_ms: int, idle_timeout_ms: int, start_timeout_ms: int) -> None:
        self._tick_grace_ms = tick_grace_ms
        self._idle_timeout_ms = idle_timeout_ms
        self._start_timeout_ms = start_timeout_ms
        self._event_time: int | None = None
        self._arrived = now
        self._silent_since = now
        self._lag_ms = 0

    def observe(self, event_time: int, now: int, written: int | None = None) -> None:
        """A record has arrived; ``event_time`` is the highest event time seen so far.

        ``written`` is the record's Kafka timestamp: a live record that we come to read late, after a rebalance say, is
        still a live one.
        """
        self._event_time = event_time
        self._arrived = self._silent_since = now
        self._lag_ms = 0 if written is None else min(max(now - written, 0), MOST_LAG_MS)

    def outage(self, ended: int) -> None:
        """Kafka did not answer until ``ended``: the silence begins anew."""
        self._silent_since = max(self._silent_since, ended)

    def at(self, confirmed: int, interval_ms: int, tolerance_ms: int, behind_ms: int = 0) -> Tick:
        """What is to happen when Kafka has confirmed at that time that nothing more is there.

        A source is live up to ``tolerance_ms`` beyond an interval behind the clock. The watermark stays as far behind
        it as the last record was, and at least ``behind_ms``.

        >>> quiet = QuietClock(0, tick_grace_ms=500, idle_timeout_ms=30_000, start_timeout_ms=5_000)
        >>> quiet.at(5_000, 1_000, 0)
        Tick(watermark=None, close_open=False, idle=True)
        >>> quiet.observe(9_990, now=10_000)
        >>> quiet.at(10_700, 1_000, 0).watermark, quiet.at(10_700, 1_000, 0, behind_ms=4_000).watermark
        (10190, 6200)
        """
        quiet = confirmed - self._silent_since
        if self._event_time is None:
            return Tick(idle=quiet >= self._start_timeout_ms)
        behind = self._arrived - self._event_time
        if abs(behind) <= interval_ms + tolerance_ms + self._lag_ms:
            if quiet <= self._tick_grace_ms:
                return STAND_STILL
            return Tick(watermark=confirmed - self._tick_grace_ms - max(behind, behind_ms))
        if quiet >= self._idle_timeout_ms:
            return Tick(close_open=True, idle=True)
        return STAND_STILL
