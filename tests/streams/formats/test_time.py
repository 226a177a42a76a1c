from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.formats.time import to_time, to_times

MOMENTS = st.datetimes(datetime(900, 1, 1), datetime(3000, 1, 1))  # noqa: DTZ001


def written(moment: datetime, timespec: str) -> str:
    return moment.replace(tzinfo=UTC).isoformat(timespec=timespec).replace("+00:00", "Z")


@given(st.lists(MOMENTS, min_size=1, max_size=5), st.sampled_from(["seconds", "milliseconds"]))
def test_many_times_are_read_as_one_by_one(moments: list[datetime], timespec: str) -> None:
    texts = [written(moment, timespec) for moment in moments]
    times = to_times(texts)
    assert times is not None
    assert times.tolist() == [to_time(text) for text in texts]


@pytest.mark.parametrize(
    "text",
    [
        "2024-02-30T00:00:00Z",
        "2024-13-01T00:00:00Z",
        "2024-01-01T24:00:00Z",
        "2024-01-01T00:60:00Z",
        "2024-01-01T00:00:61Z",
        "0000-01-01T00:00:00Z",
        "0800-01-01T00:00:00Z",
        "9999-01-01T00:00:00Z",
        "2024-01-01T00:00:00X",
        "2024-01-01 00:00:00Z",
        "2024-01-01T00:00:00,000Z",
        "20240101T000000.0000Z",
        "2024-01-01T00:00:0\u0663Z",
        "2024-01-01T00:00:00\0",
        "todaytodaytodaytoday",
        "2024-01-01T00:00:00+01:00",
        "2024-01-01",
        "",
    ],
)
def test_anything_else_is_left_to_be_read_one_by_one(text: str) -> None:
    assert to_times([text]) is None
    assert to_times(["2024-01-01T00:00:00Z", text]) is None
    assert to_times(["2024-01-01T00:00:00.000Z", text]) is None
