"""What protects results, each to be taken out for a while: a simulation that then finds nothing is worth nothing."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from streams.fencing.fence import Fold, Held
from streams.ingest.agent import Ingest
from streams.ingest.source import RunSource
from streams.ingest.sources import Snapshot, Sources
from streams.ingest.watermark import Watermark
from streams.kafka.clock import KafkaClock
from streams.score.agent import Score
from streams.score.models import DetectorModels
from tests.simulation.coordinator import MemoryJournal


class Patch(NamedTuple):
    """An attribute of a class, and what to have there instead."""

    owner: Any
    attribute: str
    instead: Any


def _barrier() -> Patch:
    """A source's checkpoint is written, and its offset safe, once what came before has arrived: now at once."""

    async def store(self: Ingest, snapshots: Sequence[Snapshot]) -> None:
        for snapshot in snapshots:
            await self._shares.write(snapshot.records)

    return Patch(Ingest, "_store", store)


def _fence() -> Patch:
    """Readers refuse what a former owner writes: now they take whatever was written last."""

    def refuse(self: Fold, epoch: int, name: str, value: bytes | None) -> None:
        self.held[name] = Held(epoch, value)

    return Patch(Fold, "_refuse", refuse)


def _lateness() -> Patch:
    """Whether a record is late is judged record by record: now by the fetch that it came with."""
    take = Watermark.take

    def by_batch(self: Watermark, times: Any, *arguments: Any) -> Any:
        take(self, times, *arguments)
        return np.full(len(times), self.frontier)

    return Patch(Watermark, "take", by_batch)


def _announcement() -> Patch:
    """After a rebalance sources emit again how far they are: now they do not."""
    return Patch(Sources, "announce", lambda self: None)


def _repeats() -> Patch:
    """A model knows the windows that it has learned from: now it learns from them again."""
    score = DetectorModels.score

    def again(self: DetectorModels, *arguments: Any) -> Any:
        self._last_end[:] = np.iinfo(np.int64).min
        return score(self, *arguments)

    return Patch(DetectorModels, "score", again)


def _grace() -> Patch:
    """Time in which Kafka did not answer is no quiet time, and producers hold back what they have: now it is."""
    return Patch(RunSource, "hold", lambda self, *times: None)


def _outlier() -> Patch:
    """No record drags the watermark far ahead, and none beyond its Kafka timestamp: now each does."""
    take = Watermark.take

    def dragged(self: Watermark, times: Any, written: Any, again: Any = None) -> Any:
        self._jump = 10**12
        return take(self, times, times, again)

    return Patch(Watermark, "take", dragged)


def _confirmation() -> Patch:
    """An offset of partials is safe once the models that learned from it are stored: now before they are written."""
    checkpoint = Score.checkpoint

    async def early(self: Score, *, everything: bool = False) -> None:
        for tp, partition in self._partitions.items():
            self._ledger.mark(tp, partition.position)
        await checkpoint(self, everything=everything)

    return Patch(Score, "checkpoint", early)


def _journal() -> Patch:
    """A coordinator that was replaced writes nothing any more: now it does."""
    return Patch(MemoryJournal, "fenced", lambda self: False)


def _clock() -> Patch:
    """All workers go by Kafka's clock: now each by its own."""
    own = property(lambda self: (self._wall() - self.monotonic()) * 1000)
    return Patch(KafkaClock, "_offset", own)


PROTECTIONS: dict[str, Callable[[], Patch]] = {
    "announcement": _announcement,
    "barrier": _barrier,
    "clock": _clock,
    "confirmation": _confirmation,
    "fence": _fence,
    "grace": _grace,
    "journal": _journal,
    "lateness": _lateness,
    "outlier": _outlier,
    "repeats": _repeats,
}


@contextlib.contextmanager
def without(name: str | None) -> Iterator[None]:
    """Take a protection out."""
    if name is None:
        yield
        return
    owner, attribute, instead = PROTECTIONS[name]()
    before = getattr(owner, attribute)
    setattr(owner, attribute, instead)
    try:
        yield
    finally:
        setattr(owner, attribute, before)
