"""What one seed does: a detector, producers, and faults at random moments."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from schemas.command import DetectorPut, JobStart
from schemas.topics import TOPICS
from streams.features.plan import Plan
from streams.fencing.shares import ShareLost
from streams.running import forest_spec
from streams.settings import Settings
from tests.schemas.documents import feature, parsed
from tests.simulation.commands import Client
from tests.simulation.group import Group
from tests.simulation.process import Process
from tests.simulation.world import EPOCH_MS, World

PREFIX = "r."
DATA = "metrics"
DETECTOR = "d"
MODEL_PARTITIONS = 2
OUTLIER = "outlier"
"""The host whose clock is nine minutes ahead, in some seeds: when its windows close is nobody's business."""

CALM = 32.0
"""Seconds after the last disturbance in which everything must have come out: a session, an idle timeout, some more."""

SETTINGS = Settings(
    prefix=PREFIX,
    node_id="w",
    model_partitions=MODEL_PARTITIONS,
    idle_timeout=5.0,
    start_timeout=12.0,
    tick_grace=0.5,
    source_checkpoint_interval=2.0,
    model_checkpoint_windows=4,
    model_checkpoint_interval=10.0,
    record_bytes=400,
)


@dataclass(frozen=True)
class Kind:
    """How records come. ``live``: their event times are about now, at most ``delay`` seconds behind."""

    live: bool
    interval: int = 1
    delay: float = 2.0
    seconds: int = 15
    disorder: float = 0.0


@cache
def document(interval: int, delay: int) -> dict[str, Any]:
    """The document of the detector."""
    return {
        "name": DETECTOR,
        "indices": [DATA],
        "time_field": "t",
        "category_field": ["host"],
        "detection_interval": {"period": {"interval": interval, "unit": "Seconds"}},
        "window_delay": {"period": {"interval": delay, "unit": "Seconds"}},
        "feature_attributes": [
            feature("f", "avg", "v", feature_id="f"),
            feature("n", "value_count", "v", feature_id="n"),
        ],
    }


@cache
def detector(interval: int, delay: int) -> Any:
    """The detector, parsed."""
    return parsed(**document(interval, delay))


@cache
def plan(interval: int, delay: int) -> Plan:
    """What the detector is compiled to."""
    return Plan.build(
        owner=DETECTOR,
        run=1,
        detector_id=DETECTOR,
        detector=detector(interval, delay),
        partitions=MODEL_PARTITIONS,
        most_delay_ms=0,  # of an automatic delay, which this detector has not
    )


@cache
def spec(interval: int, delay: int) -> Any:
    """The detector's forest."""
    return forest_spec(DETECTOR, detector(interval, delay))


@dataclass
class Scenario:
    """A seed's world with everything in it; ``run`` lets it happen."""

    seed: int
    settings: Settings = SETTINGS

    def __post_init__(self) -> None:
        self.world = world = World(self.seed)
        dice = world.dice
        live = dice.random() < 0.5
        self.kind = Kind(
            live=live, delay=dice.choice([0.0, 1.0, 2.0]), disorder=0.0 if live else dice.choice([0, 1, 4])
        )
        self.delay = 2
        self.partitions = dice.randint(1, 3)
        self.hosts = [f"h{number}" for number in range(dice.randint(1, 6))]
        self.group = Group(world)
        self.workers: list[Process] = []
        self.failures: list[str] = []
        self._lives = 0
        self.produced = 0
        self._held_back: dict[str, list[bytes]] = {}
        self._outages = 0
        self.unseen = False
        """Whether a worker may read, live, what was held back in an outage of which it can't know."""
        self.disturbed_at = 0.0
        self._make_topics()
        self.client = Client(world, PREFIX)
        self._make_detector()
        self._make_records()
        for number in range(dice.randint(1, 3)):
            self._begin(f"w{number}")
        self._make_faults()

    # -- what there is ----------------------------------------------------------------------------------------

    def _make_topics(self) -> None:
        for name, topic in TOPICS.items():
            partitions = MODEL_PARTITIONS if topic.sizing == "models" else 1
            self.world.log.create(PREFIX + name, partitions)
        self.world.log.create(DATA, self.partitions)

    def _make_detector(self) -> None:
        """One that runs from the beginning on; its results are compared. Others come and go."""
        wanted = document(self.kind.interval, self.delay)
        self.client.send_later(0.2, DetectorPut(detector_id=DETECTOR, detector=wanted))
        self.client.send_later(0.3, JobStart(detector_id=DETECTOR, from_="earliest"))
        if self.world.dice.random() < 0.4:
            self.client.make_up(["e0", "e1"][: self.world.dice.randint(1, 2)], wanted)

    # -- producers --------------------------------------------------------------------------------------------

    def _make_records(self) -> None:
        """Every host has a producer, which sends to the partition of its key, in order."""
        kind, dice = self.kind, self.world.dice
        first = EPOCH_MS if kind.live else EPOCH_MS - 10**9
        begin = dice.uniform(0.0, 5.0)
        ahead = 540_000 if dice.random() < 0.3 else 0
        for host in [*self.hosts, *([OUTLIER] if ahead else [])]:
            step = dice.uniform(0.4, 1.5) * kind.interval
            at, due = begin, begin
            while at < begin + kind.seconds:
                at += step * dice.choice([0.5, 1.0, 1.0, 1.5])
                if dice.random() < 0.03:
                    at += dice.uniform(2, 8)
                event = first + int((at - dice.uniform(0, kind.disorder)) * 1000)
                due = max(due, at + (dice.uniform(0, kind.delay) if kind.live else 0.0))
                event += ahead if host == OUTLIER else 0
                value = {"t": event, "host": host, "v": round(dice.gauss(10, 2), 3)}
                self._send_later(due if kind.live else begin + (due - begin) / 3, host, value)
        last = begin + (kind.seconds if kind.live else kind.seconds / 3)
        self.produced_at = last + 8.0
        self.last_event = first + int((begin + kind.seconds) * 1000)

    def _send_later(self, at: float, host: str, value: dict[str, Any]) -> None:
        self.world.after(at, lambda: self._produce(host, value))

    def _produce(self, host: str, value: dict[str, Any]) -> None:
        held_back = self._held_back.setdefault(host, [])
        held_back.append(json.dumps(value).encode())
        if len(held_back) == 1:
            self._send(host)

    def _send(self, host: str) -> None:
        """What a producer has, in order; while Kafka is away it keeps that and tries again."""
        if self.world.log.away:
            self.world.after(self.world.dice.uniform(0.05, 0.9), lambda: self._send(host))
            return
        partition = self.world.log.partition_for(DATA, host)
        for value in self._held_back.pop(host):
            self.world.log.append(DATA, partition, self.world.now_ms, host.encode(), value)
            self.produced += 1

    # -- workers ----------------------------------------------------------------------------------------------

    def _begin(self, name: str) -> None:
        self._lives += 1
        self.disturbed_at = max(self.disturbed_at, self.world.now)
        self.unseen = self.unseen or (self.kind.live and self._outages > 0)
        skew = self.world.dice.choice([0.0, 0.0, -3600.0, 5.0])
        settings = replace(self.settings, node_id=f"{name}.{self._lives}")
        process = Process(self.world, self.group, settings.node_id, settings, skew)
        self.workers.append(process)
        self.world.say(f"{process.name} starts" + (f", its clock {skew:+.0f} s" if skew else ""))

    def _live(self) -> list[Process]:
        return [worker for worker in self.workers if worker in self.world.runners]

    def _make_faults(self) -> None:
        dice = self.world.dice
        kinds = [
            *[self._crash, self._pause, self._compact] * 2,
            *[self._stop, self._another, self._outage],
        ]
        for _ in range(dice.randint(0, 8)):
            self.world.after(dice.uniform(1, 25), dice.choice(kinds))
        self._supervise()

    def _supervise(self) -> None:
        """Something starts anew what has ended."""
        for worker in [worker for worker in self.workers if worker not in self.world.runners]:
            self.workers.remove(worker)
            # Who lost a share while taking it over starts anew: that is how it learns of it.
            if worker.failure is not None and not isinstance(worker.failure, ShareLost):
                self.failures.append(f"{worker.name}: {worker.failure!r}")
            self._begin(worker.name.partition(".")[0])
        self.world.after(1.0, self._supervise)

    def _one(self) -> Process | None:
        live = [worker for worker in self._live() if worker.responds()]
        return self.world.dice.choice(live) if live else None

    def _crash(self) -> None:
        if (worker := self._one()) is not None:
            self.world.say(f"{worker.name} is killed")
            worker.crash()

    def _pause(self) -> None:
        if (worker := self._one()) is not None:
            seconds = self.world.dice.choice([1.0, 3.0, 7.0, 15.0])
            self.world.say(f"{worker.name} stands still for {seconds:.0f} s")
            worker.pause()
            self.world.after(seconds, worker.resume)
            self.disturbed_at = max(self.disturbed_at, self.world.now + seconds)

    def _stop(self) -> None:
        if (worker := self._one()) is not None:
            self.world.say(f"{worker.name} is told to stop")
            worker.stop()

    def _another(self) -> None:
        if len(self.workers) < 4:
            self._begin(f"w{len(self.workers)}")

    def _outage(self) -> None:
        if not self.world.log.away:
            # A short one is a delay like others, which the detector's window_delay has to cover.
            short = self.delay - self.kind.delay - 0.9 if self.kind.live else 3.0
            seconds = self.world.dice.choice([max(0.0, short), 5.0, 8.0, 12.0])
            self.world.say(f"Kafka is away for {seconds:.0f} s")
            self.world.log.away = True
            self._outages += 1
            self.world.after(seconds, self._back)
            self.disturbed_at = max(self.disturbed_at, self.world.now + seconds)

    def _back(self) -> None:
        self.world.log.away = False

    def _compact(self) -> None:
        lag = 3_600_000
        for name, topic in TOPICS.items():
            if "compact" in topic.config().get("cleanup.policy", ""):
                for partition in self.world.log.topics[PREFIX + name]:
                    partition.compact(self.world.now_ms - lag)

    # -- the end ----------------------------------------------------------------------------------------------

    @property
    def title(self) -> str:
        """What it is about, in a line."""
        how = (
            f"live, up to {self.kind.delay:.0f} s late"
            if self.kind.live
            else f"replayed, {self.kind.disorder} s of disorder"
        )
        return f"{how}; {self.partitions} partitions, {len(self.hosts)} hosts, {self.produced} records"

    def run(self, complete: Callable[[], bool]) -> None:
        """Let it happen, until nothing more is to come: soon after the last disturbance if all is there by then."""
        results = self.world.log.topics[PREFIX + "results"]
        seen = (-1, 0.0)

        def settled() -> bool:
            nonlocal seen
            count = sum(partition.end for partition in results)
            if count != seen[0]:
                seen = (count, self.world.now)
            since = self.world.now - max(self.produced_at, self.disturbed_at, self.client.last_at)
            quiet = 0.0 if self.world.log.away else self.world.now - seen[1]
            return (since > CALM and quiet > CALM / 2) or (since > CALM / 3 and quiet > CALM / 4 and complete())

        self.world.run(settled, 300.0)
        for worker in self.workers:
            self.failures += [f"{worker.name}: {error!r}" for error in worker.loop.failures]
            # Who lost a share while taking it over starts anew: that is how it learns of it.
            if worker.failure is not None and not isinstance(worker.failure, ShareLost):
                self.failures.append(f"{worker.name}: {worker.failure!r}")
