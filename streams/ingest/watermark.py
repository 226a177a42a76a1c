"""The watermark of a run on one source: how far its event time has come, and up to where its windows are closed.

A fold, record by record, that no single producer can drag ahead:

* A record moves the watermark at most to its own Kafka timestamp.
* A record that is more than ``JUMP_MS`` ahead does not move it at once: it may be one producer whose clock is wrong, or
  the end of a gap. It is a gap when the records ahead go on for ``JUMP_MS`` of event time and none comes in between
  that is near the watermark. Then the watermark goes to the last three: to the highest not far from the middle one.
* So it begins, too, with the first three records.

Windows are closed up to the *frontier*, the highest that the watermark less the allowed delay has been. The delay is
the detector's ``window_delay``, or else follows the disorder of the records (``streams/ingest/allowance.py``).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from schemas.checkpoint import WatermarkState
from schemas.partial import NO_WINDOW
from streams.ingest.allowance import Allowance

Int64Array = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

JUMP_MS = 60_000
"""How far a record may be ahead and still move the watermark at once.

Less, and every record of a topic that has one a minute would be taken for a jump. More, and a producer whose clock is
minutes ahead would close everybody's windows.
"""

_NONE = -(2**62)
"""Stands for no watermark in arrays: less than every time, and far enough from the least integer to reckon with."""


class Watermark:
    """``time`` is the watermark (None before the third record), ``frontier`` the event time up to which windows close.

    ``delay_ms`` None is automatic, with ``most_ms`` as its bound. All times are epoch ms.
    """

    def __init__(self, delay_ms: int | None, most_ms: int) -> None:
        self._fixed = delay_ms
        self._jump = max(JUMP_MS, delay_ms or 0)
        self._disorder = Allowance(most_ms)
        self._lag = Allowance(most_ms)
        # The last three records ahead, since the last one that was near, and the lowest of the first three.
        self._ahead: list[int] = []
        self._ahead_from: int | None = None
        self.time: int | None = None
        self.frontier = NO_WINDOW
        self.held_since: int | None = None
        self.held_until: int | None = None

    @property
    def delay(self) -> int:
        """How far the frontier stays behind the watermark now."""
        if self._fixed is not None:
            return self._fixed
        return 0 if self.time is None else self._disorder.at(self.time)

    @property
    def allowed(self) -> int:
        """How long a window waits for its records now, whether others come or the source is quiet."""
        return self.delay + self.quiet_delay

    @property
    def quiet_delay(self) -> int:
        """How far the watermark of a quiet source stays behind, since its records come with a delay; 0 if fixed."""
        if self._fixed is not None or self.time is None:
            return 0
        return max(0, self._lag.at(self.time) - self.delay)

    def newest(self, most: int) -> int | None:
        """The highest time that is known and not above ``most``, also of records ahead; the watermark where none is."""
        known = [time for time in (self.time, *self._ahead) if time is not None]
        return max((time for time in known if time <= most), default=max(known, default=None))

    # -- records ----------------------------------------------------------------------------------------------

    def take(self, times: Int64Array, written: Int64Array, again: BoolArray | None = None) -> Int64Array:
        """Take records in, in their order; the frontier at each of them.

        ``written`` are Kafka timestamps; ``again`` marks repetitions of the record before, which count once.
        """
        before = _NONE if self.time is None else self.time
        limits = np.minimum(times, written)
        reached = np.maximum.accumulate(np.maximum(limits, before))
        if self.time is None or self._ahead or self._jumps(reached, before):
            reached = self._walk(limits, again)
        frontier = self._measured(times, reached, before) if self._fixed is None else reached - self._fixed
        self.time = None if reached[-1] == _NONE else int(reached[-1])
        if self.held_until is not None or self.time is None:
            return np.full(len(times), self.frontier)
        self.frontier = max(self.frontier, int(frontier[-1]))
        return frontier

    def _jumps(self, reached: Int64Array, before: int) -> bool:
        if reached[-1] - before <= self._jump:
            return False
        return bool(reached[0] - before > self._jump or (np.diff(reached) > self._jump).any())

    def _walk(self, limits: Int64Array, again: BoolArray | None) -> Int64Array:
        """The watermark after each record, record by record."""
        reached = np.empty_like(limits)
        for place, limit in enumerate(limits.tolist()):
            if again is None or not again[place]:
                self._step(limit)
            reached[place] = _NONE if self.time is None else self.time
        return reached

    def _step(self, limit: int) -> None:
        time = self.time
        if time is None or limit > time + self._jump:
            self._step_ahead(limit)
        else:
            # A record far behind says nothing about those ahead: a producer that lags must not hold up the others.
            if limit >= time - self._jump:
                self._forget_ahead()
            self.time = max(time, limit)

    def _step_ahead(self, limit: int) -> None:
        self._ahead = [*self._ahead[-2:], limit]
        if len(self._ahead) < 3:
            return
        lowest, middle, highest = sorted(self._ahead)
        landing = highest if highest <= middle + self._jump else middle
        if self.time is None:
            self.time = landing
            self._forget_ahead()
            return
        if self._ahead_from is None:
            self._ahead_from = lowest
        if middle - self._ahead_from >= self._jump:
            self.time = landing

    def _forget_ahead(self) -> None:
        self._ahead, self._ahead_from = [], None

    def _measured(self, times: Int64Array, reached: Int64Array, before: int) -> Int64Array:
        if self.held_until is not None:
            return reached  # what producers held back in an outage says nothing about their usual delay
        earlier = np.empty_like(reached)
        earlier[0], earlier[1:] = before, reached[:-1]
        frontier = reached - self._disorder.see_all(earlier - times, reached)
        np.maximum(frontier, self.frontier, out=frontier)
        return np.maximum.accumulate(frontier, out=frontier)

    # -- time -------------------------------------------------------------------------------------------------

    def advance(self, time: int) -> None:
        """Go on without a record. Never back."""
        if self.time is None or time > self.time:
            self.time = time
            self._forget_ahead()
        self._move_frontier()

    def lagged(self, lags: Int64Array) -> None:
        """Records of a source that had been read to its end came with these lags (ms) behind Kafka's clock."""
        if self._fixed is None and self.held_until is None and self.time is not None:
            self._lag.see(int(lags[lags <= self._lag.most].max(initial=0)), self.time)

    def hold(self, since: int, until: int) -> None:
        """Close nothing until Kafka's clock says ``until``, for an outage that began at ``since``."""
        self.held_since = since if self.held_since is None else min(self.held_since, since)
        self.held_until = until if self.held_until is None else max(self.held_until, until)

    def let_go(self) -> None:
        """End a hold that was none of this source's business."""
        self.held_since = self.held_until = None

    def release(self, now: int) -> bool:
        """End a hold that is over at ``now`` by Kafka's clock; True when that moved the frontier."""
        if self.held_until is None or now < self.held_until:
            return False
        self.let_go()
        before = self.frontier
        self._move_frontier()
        return self.frontier > before

    def _move_frontier(self) -> None:
        if self.time is not None and self.held_until is None:
            self.frontier = max(self.frontier, self.time - self.delay)

    # -- checkpoints ------------------------------------------------------------------------------------------

    def snapshot(self) -> WatermarkState:
        """This state, as ``restore`` reads it."""
        return WatermarkState(
            time=self.time,
            frontier=self.frontier,
            ahead=list(self._ahead),
            ahead_from=self._ahead_from,
            disorder=self._disorder.peak,
            lag=self._lag.peak,
            held_since=self.held_since,
            held_until=self.held_until,
        )

    def restore(self, state: WatermarkState) -> None:
        """Take over the state of a snapshot."""
        self.time, self.frontier = state.time, state.frontier
        self.held_since, self.held_until = state.held_since, state.held_until
        self._ahead, self._ahead_from = list(state.ahead), state.ahead_from
        self._disorder.peak, self._lag.peak = state.disorder, state.lag
