from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from faust.types import TP

from schemas.checkpoint import decode_source, encode
from schemas.state import Run
from streams.detectors import Running, forest_spec
from streams.ingest.checkpoint import assemble
from streams.ingest.source import Source
from streams.ingest.sources import Emission, Snapshot, Sources, Stored
from streams.plan import Plan
from streams.settings import Settings
from tests.schemas.documents import feature, parsed
from tests.streams.ingest.plans import NOW

TP_3 = TP("m", 3)
START = NOW - 1_000_000


@dataclass(frozen=True)
class Live:
    """A record as a consumer gives it, written when it happened."""

    offset: int
    value: bytes
    timestamp: int
    key: bytes | None = None


def live(*seconds: float, start: int = 0, host: str = "a") -> list[Live]:
    """Records of one host at these seconds."""
    return [
        Live(offset, b'{"t":%d,"host":"%s","v":1}' % (START + second * 1000, host.encode()), int(START + second * 1000))
        for offset, second in enumerate(seconds, start)
    ]


def running(owner: str = "d", run: int = 1, **members: Any) -> Running:
    """A run that counts what each host sends in a second, on one partition."""
    detector = parsed(
        time_field="t",
        category_field=["host"],
        detection_interval={"period": {"interval": 1, "unit": "Seconds"}},
        feature_attributes=[feature("f", "sum", "v")],
    )
    plan = Plan.build(owner=owner, run=run, detector_id=owner, detector=detector, partitions=2)
    sources = Run(id=run, sources={"m": {3: 0}}, **members)
    return Running(detector, sources, plan, forest_spec(owner, detector), restarted=False)


@dataclass
class Worker:
    """Sources in memory, with what they have emitted."""

    runs: list[Running] = field(default_factory=lambda: [running()])
    emitted: list[Emission] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.sources = Sources(Settings(), lambda: self.runs)

    def take(self, *, stored: Stored | None = None, committed: int | None = None, high: int = 0) -> Source:
        """Own the partition."""
        _, fresh = self.sources.assign({TP_3: committed})
        assert fresh == [TP_3]
        return self.sources.restore(TP_3, committed, stored, 0, high, NOW)

    def fold(self, records: list[Live]) -> None:
        self.emitted.append(self.sources.fold(self.sources.held[TP_3], records, NOW))

    @property
    def sums(self) -> dict[tuple[int, str], float]:
        """What was emitted, by the second at which a window ends and host."""
        return {
            ((window.end - START) // 1000, host): float(value)
            for emission in self.emitted
            for _, partial in emission.partials
            for window in partial.windows
            for host, value in zip(window.entities, np.frombuffer(window.columns[0]), strict=True)
        }


def stored(snapshot: Snapshot) -> Stored:
    """A snapshot, written and read back."""
    runs = assemble(decode_source(encode(part)) for _, part in snapshot.records)
    assert runs is not None
    return Stored(snapshot.offset, 0, runs)


def test_windows_come_out_as_records_come_in() -> None:
    worker = Worker()
    worker.take()
    worker.fold(live(0, 0.5, 1.2))
    worker.fold(live(1.5, 2.1, start=3))
    assert worker.sums == {(1, "a"): 2.0, (2, "a"): 2.0}


def test_a_restored_source_goes_on_where_its_checkpoint_was_taken() -> None:
    first, second = Worker(), Worker()
    first.take()
    first.fold(live(0, 1.2))
    snapshot = first.sources.snapshot(first.sources.held[TP_3])
    assert second.take(stored=stored(snapshot), high=2).offset == 2
    second.fold(live(1.3, 2.1, start=2))
    assert second.sums == {(2, "a"): 2.0}


def test_a_source_that_was_given_up_meanwhile_emits_nothing_more() -> None:
    # Its run was catching up when a rebalance came, and a fetch of its own waited for the source.
    worker = Worker([])
    source = worker.take(committed=4, high=4)
    worker.runs.append(running())
    worker.sources.refresh(NOW)
    ((behind, run),) = worker.sources.behind()
    assert behind is source
    assert worker.sources.assign({}) == ([TP_3], [])
    assert list(worker.sources.behind()) == []
    assert not source.has(run)
    assert worker.sources.catch_up(source, run, live(0, 1.2, 2.4), 3, NOW) == Emission()
    assert worker.sources.fold(source, live(3.1, start=4), NOW) == Emission()
    assert worker.sources.confirm(worker.sources.snapshot(source)) is None


def test_a_run_that_catches_up_joins_where_its_source_is() -> None:
    worker = Worker([])
    source = worker.take(committed=4, high=4)
    worker.runs.append(running())
    worker.sources.refresh(NOW)
    ((_, run),) = worker.sources.behind()
    worker.emitted.append(worker.sources.catch_up(source, run, live(0, 1.2, 1.4), 3, NOW))
    assert not run.joined
    # No record lies at offset 3: the reader's position says that it was passed.
    worker.emitted.append(worker.sources.catch_up(source, run, [], 4, NOW))
    assert run.joined
    worker.fold(live(2.2, start=4))
    assert worker.sums == {(1, "a"): 1.0, (2, "a"): 2.0}
