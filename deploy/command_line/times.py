"""Times and durations as people write and read them."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime

import click

from schemas.errors import Refused

UNITS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_AGO = re.compile(r"-(\d+)([smhd])")


def parse_time(text: str, now_ms: int) -> int:
    """Epoch ms from a text: epoch ms, ISO 8601 (UTC unless it has an offset), ``now``, or ``-6h`` for a time ago.

    Raises ``ValueError`` for anything else.

    >>> parse_time("-2h", 10_000_000), parse_time("1970-01-01T00:01", 0), parse_time("1700000000000", 0)
    (2800000, 60000, 1700000000000)
    """
    if text == "now":
        return now_ms
    if ago := _AGO.fullmatch(text):
        return now_ms - int(ago[1]) * UNITS[ago[2]]
    if re.fullmatch(r"-?\d{5,}", text):
        return int(text)
    moment = datetime.fromisoformat(text)
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def parse_range(begin: str, end: str) -> tuple[int, int]:
    """The times of ``--from`` and ``--to`` in epoch ms. Raises ``click.UsageError``.

    >>> parse_range("1970-01-01", "86400000")
    (0, 86400000)
    """
    now = int(time.time() * 1000)
    try:
        return parse_time(begin, now), parse_time(end, now)
    except ValueError as error:
        raise click.UsageError(f"{error}: use epoch ms, ISO 8601, now, or -6h") from error


def parse_interval(text: str) -> int:
    """Milliseconds of a text such as ``30s``, ``5m``, ``1h`` or ``1d``. Raises ``Refused`` (400).

    >>> parse_interval("5m")
    300000
    """
    number, unit = text[:-1], text[-1:]
    if unit not in UNITS or not re.fullmatch("[0-9]{1,9}", number) or not int(number):
        raise Refused(400, f"{text!r} is no interval: a number of s, m, h or d is expected, such as 30s or 5m")
    return int(number) * UNITS[unit]


def utc(epoch_ms: int) -> str:
    """A time for people, in UTC.

    >>> utc(60_000)
    '1970-01-01 00:01:00'
    """
    return datetime.fromtimestamp(epoch_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
