from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from streams.ingest.points import UNSTAMPED
from streams.ingest.watermark import JUMP_MS, Watermark

MINUTE = 60_000
START = 1_700_000_000_000


def take(watermark: Watermark, times: Sequence[int], written: Sequence[int] | None = None) -> list[int]:
    """The frontier at each record."""
    stamps = np.full(len(times), UNSTAMPED) if written is None else np.array(written)
    return watermark.take(np.array(times), stamps).tolist()


def begun(delay_ms: int | None = 0) -> Watermark:
    watermark = Watermark(delay_ms, MINUTE)
    take(watermark, [START] * 3)
    return watermark


@pytest.mark.parametrize("first", [[START + 9 * MINUTE, START, START], [START, START - 9 * MINUTE, START]])
def test_one_wrong_clock_among_the_first_three_records_does_not_count(first: list[int]) -> None:
    watermark = Watermark(0, MINUTE)
    take(watermark, first[:2])
    assert watermark.time is None
    take(watermark, first[2:])
    assert watermark.time == START


def test_a_record_moves_the_watermark_at_most_to_its_kafka_timestamp() -> None:
    watermark = begun()
    take(watermark, [START + 50_000, START + 55_000], [START + 1_000, START + 2_000])
    assert watermark.time == START + 2_000


@pytest.mark.parametrize("flush", [1, 3, 40])
def test_a_producer_that_is_nine_minutes_ahead_makes_nobody_late(flush: int) -> None:
    # Its Kafka timestamps are wrong, too; it sends as much as everybody else, a flush at a time.
    watermark = begun()
    late = 0
    for second in range(1, 600, flush):
        seconds = [START + (second + number) * 1000 for number in range(flush)]
        take(watermark, [time + 9 * MINUTE for time in seconds], [time + 9 * MINUTE for time in seconds])
        late += sum(frontier > time for time, frontier in zip(seconds, take(watermark, seconds, seconds), strict=True))
    assert late == 0
    assert watermark.time is not None
    assert watermark.time < START + 660_000


def test_the_end_of_a_gap_is_believed_when_it_has_gone_on_for_a_minute() -> None:
    watermark = begun()
    after = [START + 3_600_000 + second * 1000 for second in range(62)]
    take(watermark, after[:60])
    assert watermark.time == START
    take(watermark, after[60:])
    assert watermark.time == after[-1]


def test_a_straggler_does_not_keep_the_end_of_a_gap_from_being_believed() -> None:
    watermark = begun()
    for second in range(80):
        take(watermark, [START + 3_600_000 + second * 1000, START - 3_600_000 + second * 1000])
    assert watermark.time == START + 3_600_000 + 79_000


def test_records_further_apart_than_a_minute_are_followed_with_a_lag_of_one() -> None:
    watermark = begun()
    times = [START + 5 * MINUTE * number for number in range(1, 20)]
    assert take(watermark, times)[2:] == times[1:-1]


def test_a_longer_delay_is_a_longer_way_ahead() -> None:
    watermark = begun(10 * MINUTE)
    take(watermark, [START + 10 * MINUTE])
    assert watermark.time == START + 10 * MINUTE
    take(watermark, [START + 20 * MINUTE + 1])
    assert watermark.time == START + 10 * MINUTE


def test_an_automatic_delay_follows_the_disorder_and_falls_by_a_percent_of_progress() -> None:
    watermark = begun(None)
    assert watermark.delay == 0
    take(watermark, [START + 10_000, START + 6_000])
    assert (watermark.delay, watermark.frontier) == (4_400, START + 10_000)
    take(watermark, [START + 12_000])
    assert (watermark.delay, watermark.frontier) == (4_380, START + 10_000)
    take(watermark, [START + 20_000])
    assert (watermark.delay, watermark.frontier) == (4_300, START + 15_700)


def test_what_is_later_than_the_bound_is_not_waited_for() -> None:
    watermark = begun(None)
    take(watermark, [START - MINUTE - 1])
    assert watermark.delay == 0
    take(watermark, [START - MINUTE])
    assert watermark.delay == MINUTE


def test_two_producers_that_flush_every_four_seconds_lose_nothing_with_an_automatic_delay() -> None:
    watermark, late = Watermark(None, MINUTE), 0
    for second in range(2, 1_000, 2):
        flush = [START + (second - back) * 1000 for back in (4, 3, 2, 1)]
        ends = [(time // 10_000 + 1) * 10_000 for time in flush]
        late += sum(frontier >= end for end, frontier in zip(ends, take(watermark, flush), strict=True))
    assert late == 0


def test_nothing_closes_during_a_hold_and_what_came_meanwhile_is_no_measure() -> None:
    watermark = begun(None)
    watermark.hold(START, START + 15_000)
    assert take(watermark, [START + 20_000, START + 1_000]) == [START, START]
    watermark.advance(START + 21_000)
    assert (watermark.frontier, watermark.delay) == (START, 0)
    assert not watermark.release(START + 14_999)
    assert watermark.release(START + 15_000)
    assert watermark.frontier == START + 21_000


def test_the_watermark_never_goes_back() -> None:
    watermark = begun()
    watermark.advance(START - 1)
    assert (watermark.time, JUMP_MS) == (START, MINUTE)
