"""The windows of one source partition for one historical analysis: a fold over the records of a range of event time.

The same windows as in real time, with a beginning and an end:

* The range is floored to the interval on both sides, as OpenSearch does: only whole windows count.
* Records outside of it are dropped, and do not move the watermark: one of them, read early, would close windows whose
  records are still to come.
* At the end every window is closed. The windows after the newest event time of all sources are never scored, since
  the newest record's window may not be over: ``closed_until`` of the last word says how far this source goes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from schemas.partial import NO_WINDOW, Partial
from schemas.scan import ScanCheckpoint
from streams.features.plan import Plan
from streams.ingest.entities import EntityTable
from streams.ingest.windows import Batch, Closed, RunWindows


class RangeWindows:
    """The windows of ``[start, end)``, epoch ms. ``first`` is the least event time of all records so far,
    ``reached`` the greatest one in the range; a record beyond the range makes it ``end``."""

    def __init__(self, plan: Plan, entities: EntityTable, offset: int, start: int, end: int) -> None:
        self.plan = plan
        self.start = start // plan.interval_ms * plan.interval_ms
        self.end = end // plan.interval_ms * plan.interval_ms
        self.windows = RunWindows(plan, entities, offset)
        self.first: int | None = None
        self.reached: int | None = None

    @property
    def offset(self) -> int:
        """The next offset to read."""
        return self.windows.offset

    def fold(self, batch: Batch, next_offset: int) -> list[Closed]:
        """Take records in; the windows that they close, oldest first."""
        times = batch.times
        if len(times):
            first = int(times.min())
            self.first = first if self.first is None else min(self.first, first)
            inside = (times >= self.start) & (times < self.end)
            if (times >= self.end).any():
                self._reach(self.end)
            batch = batch.where(inside)
        if len(batch.times):
            self._reach(int(batch.times.max()))
        self.windows.fold(batch, next_offset)
        return self.windows.close()

    def finish(self) -> list[Closed]:
        """Close what is still open."""
        return self.windows.close_all()

    def _reach(self, time: int) -> None:
        self.reached = time if self.reached is None else max(self.reached, time)

    def partials(
        self, topic: str, partition: int, closed: Sequence[Closed], *, epoch: int, finished: bool, max_bytes: int
    ) -> Iterator[tuple[int, Partial]]:
        """What is to be said about closed windows: model partitions and records for them, in order.

        After ``finish`` they end with the last word to every model partition.
        """
        until = self._last_word() if finished else self.windows.closed_until
        yield from self.windows.partials(
            topic, partition, closed, until=until, epoch=epoch, finished=finished, max_bytes=max_bytes
        )

    def _last_word(self) -> int:
        if self.reached is None:
            return NO_WINDOW
        return self.reached // self.plan.interval_ms * self.plan.interval_ms

    def snapshot(self) -> ScanCheckpoint:
        """This state, as ``restore`` reads it."""
        return ScanCheckpoint(first=self.first, reached=self.reached, windows=self.windows.snapshot())

    def restore(self, checkpoint: ScanCheckpoint) -> None:
        """Go on where a snapshot of the same scan was taken."""
        self.windows.restore(checkpoint.windows)
        self.first, self.reached = checkpoint.first, checkpoint.reached
