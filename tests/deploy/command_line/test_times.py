"""What people write as a time, and what is none."""

from __future__ import annotations

import pytest

from deploy.command_line.times import parse_interval, parse_time
from schemas.errors import Refused


def test_times() -> None:
    assert parse_time("now", 5) == 5
    assert parse_time("-1d", 86_400_001) == 1
    assert parse_time("2023-11-14T22:13:20+00:00", 0) == 1_700_000_000_000
    for wrong in ("yesterday", "-6y", ""):
        with pytest.raises(ValueError, match="Invalid"):
            parse_time(wrong, 0)


@pytest.mark.parametrize("wrong", ["", "10", "s", "0s", "-5m", "1.5h", "²s", "1w"])
def test_what_is_no_interval_is_refused(wrong: str) -> None:
    with pytest.raises(Refused, match="is no interval"):
        parse_interval(wrong)
