from __future__ import annotations

import pytest

from streams.ingest.quiet import STAND_STILL, QuietClock, Tick

INTERVAL, DELAY = 1_000, 200
START = 1_700_000_000_000


@pytest.fixture
def clock() -> QuietClock:
    return QuietClock(START, tick_grace_ms=500, idle_timeout_ms=30_000, start_timeout_ms=5_000)


def test_a_source_without_a_record_is_idle_after_a_while(clock: QuietClock) -> None:
    assert clock.at(START + 4_999, INTERVAL, DELAY) == STAND_STILL
    assert clock.at(START + 5_000, INTERVAL, DELAY) == Tick(idle=True)
    assert clock.at(START + 10**9, INTERVAL, DELAY) == Tick(idle=True)


@pytest.mark.parametrize("behind", [0, 1_200, -1_200])
def test_a_live_source_goes_on_with_kafkas_clock_after_the_grace_and_never_ahead_of_it(
    clock: QuietClock, behind: int
) -> None:
    clock.observe(START - behind, START)
    assert clock.at(START + 500, INTERVAL, DELAY) == STAND_STILL
    assert clock.at(START + 501, INTERVAL, DELAY) == Tick(watermark=START - max(behind, 0) + 1)
    assert clock.at(START + 10**6, INTERVAL, DELAY) == Tick(watermark=START - max(behind, 0) + 10**6 - 500)


@pytest.mark.parametrize("delayed", [0, 1, 499])
def test_a_record_that_took_a_little_longer_than_the_one_before_is_not_late(clock: QuietClock, delayed: int) -> None:
    end = START + 5_000
    clock.observe(START - 10, START)
    # It was written 1 ms before a window's end and is on its way 10 ms, as the one before, and a little longer.
    tick = clock.at(end - 1 + 10 + delayed, 10_000, 0).watermark
    assert tick is not None
    assert tick < end


@pytest.mark.parametrize("behind", [1_201, 10**9, -1_201])
def test_a_replay_stands_still_and_is_closed_after_a_long_silence(clock: QuietClock, behind: int) -> None:
    clock.observe(START - behind, START)
    assert clock.at(START + 29_999, INTERVAL, DELAY) == STAND_STILL
    assert clock.at(START + 30_000, INTERVAL, DELAY) == Tick(close_open=True, idle=True)


def test_a_record_ends_the_silence(clock: QuietClock) -> None:
    clock.observe(START - 10**9, START)
    clock.observe(START - 10**9 + 1, START + 29_000)
    assert clock.at(START + 31_000, INTERVAL, DELAY) == STAND_STILL


def test_a_replay_that_reaches_the_present_becomes_live(clock: QuietClock) -> None:
    clock.observe(START - 10**9, START)
    clock.observe(START + 900, START + 1_000)
    assert clock.at(START + 1_600, INTERVAL, DELAY) == Tick(watermark=START + 1_000)


def test_a_live_record_that_was_read_late_is_still_live() -> None:
    clock = QuietClock(START, tick_grace_ms=500, idle_timeout_ms=30_000, start_timeout_ms=5_000)
    clock.observe(START - 10_000, START, written=START - 9_990)
    assert clock.at(START + 600, 1_000, 0).watermark == START - 10_000 + 100


def test_an_archive_whose_records_are_stamped_with_their_event_times_is_no_live_source() -> None:
    clock = QuietClock(START, tick_grace_ms=500, idle_timeout_ms=30_000, start_timeout_ms=5_000)
    clock.observe(START - 10**9, START, written=START - 10**9)
    assert clock.at(START + 600, 1_000, 0) == STAND_STILL
