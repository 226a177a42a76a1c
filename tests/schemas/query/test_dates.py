from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.errors import Refused
from schemas.query.dates import format_date, parse_date

NOW = 1_795_493_335_499  # 2026-11-24T04:08:55.499Z


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1000)


@pytest.mark.parametrize(
    ("text", "up", "wanted"),
    [
        ("now", False, "2026-11-24T04:08:55.499+00:00"),
        ("now-24h", False, "2026-11-23T04:08:55.499+00:00"),
        ("now/d", False, "2026-11-24T00:00:00+00:00"),
        ("now/d", True, "2026-11-24T23:59:59.999+00:00"),
        ("now-1M/M", False, "2026-10-01T00:00:00+00:00"),
        ("now/w", False, "2026-11-23T00:00:00+00:00"),
        ("2026-11-24||-1d/d", False, "2026-11-23T00:00:00+00:00"),
        ("2026-11", False, "2026-11-01T00:00:00+00:00"),
        ("2026-11", True, "2026-11-30T23:59:59.999+00:00"),
        ("2024-02-29||+1y", False, "2025-02-28T00:00:00+00:00"),
        ("2026-11-24T04:08:55+02:00", False, "2026-11-24T02:08:55+00:00"),
        ("1795493335499", False, "2026-11-24T04:08:55.499+00:00"),
        ("1795493335499||-2m", False, "2026-11-24T04:06:55.499+00:00"),
    ],
)
def test_dates_and_date_math(text: str, up: bool, wanted: str) -> None:
    assert parse_date(text, now=NOW, round_up=up) == at(wanted)


def test_zones_and_formats() -> None:
    assert parse_date("2026-11-24", zone="+01:00") == at("2026-11-24T00:00:00+01:00")
    assert parse_date("2026-07-01", zone="Europe/Berlin") == at("2026-07-01T00:00:00+02:00")
    assert parse_date("24/11/2026", form="dd/MM/yyyy") == at("2026-11-24T00:00:00+00:00")
    assert parse_date("1795493335", form="epoch_second") == 1_795_493_335_000


@pytest.mark.parametrize(
    "text", ["abc", "2026-13-01", "2026-02-30", "now-", "now+1x", "2026-11-24||/q", "", "99999999999999999999"]
)
def test_what_is_no_date_is_refused(text: str) -> None:
    with pytest.raises(Refused) as refused:
        parse_date(text, now=NOW)
    assert (refused.value.status, refused.value.kind) == (400, "parse_exception")


@given(st.integers(-60_000_000_000_000, 250_000_000_000_000))
@settings(max_examples=100)
def test_what_was_written_is_read_back(millis: int) -> None:
    assert parse_date(format_date(millis)) == millis
    assert format_date(millis)[:10] == f"{datetime.fromtimestamp(millis // 1000, UTC):%Y-%m-%d}".rjust(10, "0")
