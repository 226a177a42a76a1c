"""Times and lengths of time as people write and read them."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from schemas.errors import Refused

UNITS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_AGO = re.compile(r"-(\d+)([smhd])")


def parse_time(text: str, now_ms: int) -> int:
    """Epoch ms from what people write: epoch ms, ISO 8601 (UTC where it doesn't say), ``now``, or ``-6h``.

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


def parse_interval(text: str) -> int:
    """Milliseconds of ``30s``, ``5m``, ``1h`` or ``1d``. Raises ``Refused`` (400).

    >>> parse_interval("5m")
    300000
    """
    number, unit = text[:-1], text[-1:]
    if unit not in UNITS or not re.fullmatch("[0-9]{1,9}", number) or not int(number):
        raise Refused(400, f"{text!r} is no interval: say for example 30s, 5m, 1h or 1d")
    return int(number) * UNITS[unit]


def utc(epoch_ms: int) -> str:
    """A time as people read it.

    >>> utc(60_000)
    '1970-01-01 00:01:00'
    """
    return datetime.fromtimestamp(epoch_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
