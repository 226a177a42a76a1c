"""One data partition on this worker: where reading stands, and the windows of every run that reads it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from schemas.checkpoint import RunCheckpoint, SourceCheckpoint
from schemas.partial import Partial
from streams.features.plan import Plan
from streams.fencing.share import Share
from streams.ingest.checkpoint import grouped
from streams.ingest.quiet import MOST_LAG_MS, QuietClock
from streams.ingest.windows import Batch, Closed, RunWindows
from streams.kafka.outages import Outage

END_MS = 2_000
"""A source that was not seen at its end for so long lags behind it."""


class Said(NamedTuple):
    """What the model partitions know of a source, besides its windows."""

    until: int
    idle: bool
    caught_up: bool


@dataclass(eq=False)
class RunSource:
    """One run's share of a source. It is ``joined`` when it reads what the source reads, no longer catching up, and
    ``announced`` when the present owners of the model partitions know how far it is.

    ``past``: records before that offset belong to the run from that event time on only (its cold start). ``unread``
    counts the records that retention deleted before they were read, ``dead_letters`` by reason those that could not be
    used, ``counts`` what does not count without being one; ``note`` is what people should know about this source.
    """

    windows: RunWindows
    quiet: QuietClock
    joined: bool
    past: tuple[int, int] | None = None
    said: Said | None = None
    announced: bool = False
    unread: int = 0
    dead_letters: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    note: str = ""

    @property
    def plan(self) -> Plan:
        """The run's plan."""
        return self.windows.plan

    def fold(self, batch: Batch, next_offset: int) -> Batch:
        """Take in what of a batch belongs to the run; returns it."""
        if self.past is not None and len(batch.offsets) and batch.offsets[0] < self.past[0]:
            live, since = self.past
            batch = batch.where((batch.offsets >= live) | (batch.times >= since))
        watermark = self.windows.watermark
        if watermark.held_since is not None and len(batch.times):
            newest = max(int(batch.times.max()), self._newest(watermark.held_since) or 0)
            if not self._live(newest, watermark.held_since):
                watermark.let_go()
        self.windows.fold(batch, next_offset)
        return batch

    @property
    def tolerance_ms(self) -> int:
        """How late live records may be."""
        return self.plan.most_delay_ms if self.plan.delay_ms is None else self.plan.delay_ms

    def hold(self, began: int, ended: int, until: int) -> None:
        """Kafka did not answer between these times: close nothing before ``until``.

        Not for a replay: which of its records are late depends on them alone, and nobody waits for its windows. Where
        no record has come yet, the first ones tell.
        """
        self.quiet.outage(ended)
        newest = self._newest(began)
        if newest is None or self._live(newest, began):
            self.windows.watermark.hold(began, until)

    def _newest(self, now: int) -> int | None:
        return self.windows.watermark.newest(now + MOST_LAG_MS)

    def _live(self, event_time: int, now: int) -> bool:
        return now - event_time <= self.plan.interval_ms + self.tolerance_ms + MOST_LAG_MS

    def lose(self, begin: int, end: int) -> None:
        """The offsets from ``begin`` to before ``end`` were deleted unread."""
        begin = max(begin, self.windows.offset)
        if end > begin:
            self.unread += end - begin
            self.windows.skip_to(end)

    def begin_anew(self, note: str) -> None:
        """The topic is another one of the same name: go on with its first record."""
        self.windows.offset = 0
        self.past = None
        self.joined = True
        self.note = note

    def snapshot(self) -> RunCheckpoint:
        """This state, as ``restore`` reads it."""
        return msgspec.structs.replace(
            self.windows.snapshot(),
            unread=self.unread,
            dead_letters=dict(self.dead_letters),
            counts=dict(self.counts),
            note=self.note,
        )

    def restore(self, state: RunCheckpoint) -> None:
        """Take over the state of a snapshot of the same run and source."""
        self.windows.restore(state)
        self.unread, self.note = state.unread, state.note
        self.dead_letters, self.counts = Counter(state.dead_letters), Counter(state.counts)

    @property
    def idle(self) -> bool:
        """Whether the model partitions hold the source for idle."""
        return self.said is not None and self.said.idle

    def partials(
        self, source: Source, closed: Sequence[Closed], *, idle: bool, max_bytes: int
    ) -> Iterator[tuple[int, Partial]]:
        """What is to be emitted: model partitions and records for them, in order; nothing when nothing is new.

        A new owner has news at once: its epoch, after which what its predecessor still writes counts no more.
        """
        news = Said(self.windows.closed_until, idle, self.joined and source.caught_up)
        if not closed and news == self.said and self.announced:
            return
        self.said, self.announced = news, True
        yield from self.windows.partials(
            source.topic,
            source.partition,
            closed,
            until=news.until,
            epoch=source.share.epoch,
            idle=news.idle,
            caught_up=news.caught_up,
            max_bytes=max_bytes,
        )


@dataclass(eq=False)
class Source:
    """One data partition. ``offset`` is the next one to read; ``lock`` guards it and the windows.

    ``topic_id`` is that of the topic which has these offsets, ``number`` that of the latest checkpoint. ``outage`` is
    the latest one that was taken into account, ``confirmed`` when Kafka last said that the source is read to its end.

    Whoever folds records holds the lock until the windows that closed have been handed to the outbox: a snapshot
    taken between the two would miss them for good.
    """

    topic: str
    partition: int
    offset: int
    share: Share
    topic_id: str = ""
    runs: dict[str, RunSource] = field(default_factory=dict)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    number: int = 0
    checkpointed: int = -1
    caught_up: bool = False
    outage: Outage | None = None
    confirmed: int | None = None
    _seen_at_end: int = 0
    _at_end_since: int | None = None

    def at_end(self, now: int, at_end: bool, patience_ms: int) -> None:
        """Take in whether Kafka has just confirmed that the source is read to its end.

        It has caught up when that has been so for ``patience_ms``: with records coming in there are always moments in
        which it is not, but none of ``END_MS``.
        """
        if not at_end and now - self._seen_at_end > END_MS:
            self._at_end_since = None
        elif at_end:
            self._seen_at_end = now
            self._at_end_since = now if self._at_end_since is None else self._at_end_since
        self.caught_up = self._at_end_since is not None and now - self._at_end_since >= patience_ms

    def has(self, run: RunSource) -> bool:
        """Whether this run still reads this source: False once it has ended, or the source is no longer ours."""
        return self.runs.get(run.plan.owner) is run

    def snapshot(self, max_bytes: int) -> list[SourceCheckpoint]:
        """The checkpoint in parts, none of them much larger than ``max_bytes``."""
        groups = grouped(((run.snapshot(), run.plan.columns) for run in self.runs.values()), max_bytes)
        self.number += 1
        return [
            SourceCheckpoint(
                topic=self.topic,
                partition=self.partition,
                epoch=self.share.epoch,
                number=self.number,
                offset=self.offset,
                part=part,
                parts=len(groups),
                runs=runs,
                topic_id=self.topic_id,
            )
            for part, runs in enumerate(groups)
        ]
