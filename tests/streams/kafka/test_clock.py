from __future__ import annotations

from streams.kafka.clock import KafkaClock
from streams.kafka.outages import Outage


class Time:
    """A monotonic clock that a test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_the_wall_clock_counts_for_nothing_once_kafka_has_told_its_time() -> None:
    time = Time()
    clock = KafkaClock(wall=lambda: 0.0, monotonic=time)
    clock.sample(sent=99.0, reported=100.0, appended_ms=1_700_000_000_000)
    time.now = 160.5
    assert clock.now() == 1_700_000_061_000


def test_a_wait_for_kafka_is_an_outage_while_it_lasts_and_afterwards() -> None:
    time = Time()
    clock = KafkaClock(monotonic=time)
    clock.asked()
    time.now = 102.0
    clock.asked()
    assert clock.outage is None
    time.now = 110.0
    assert clock.outage == Outage(100.0, 110.0)
    time.now = 120.0
    clock.answered()
    time.now = 200.0
    assert clock.outage == Outage(100.0, 120.0)
    clock.asked()
    clock.answered()
    assert clock.outage == Outage(100.0, 120.0)
