"""Lengths of time as aggregations write them, and the grid of buckets that they make."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from schemas.query.dates import add_to, floor_to, read_zone
from schemas.query.errors import wrong_value

_UNITS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_CALENDAR = {
    **dict.fromkeys(("second", "1s"), "s"),
    **dict.fromkeys(("minute", "1m"), "m"),
    **dict.fromkeys(("hour", "1h"), "h"),
    **dict.fromkeys(("day", "1d"), "d"),
    **dict.fromkeys(("week", "1w"), "w"),
    **dict.fromkeys(("month", "1M"), "M"),
    **dict.fromkeys(("quarter", "1q"), "q"),
    **dict.fromkeys(("year", "1y"), "y"),
}
_ROUGHLY = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
ROUGHLY = {**_ROUGHLY, "M": 28 * 86_400_000, "q": 89 * 86_400_000, "y": 365 * 86_400_000}
"""The shortest that a calendar unit can be, in ms."""


def parse_duration(value: Any, member: str, *, signed: bool = False) -> int:
    """Milliseconds of ``10m``, ``1.5h`` or ``-3d``. Raises ``Refused`` when it is no length of time.

    >>> parse_duration("90s", "interval"), parse_duration("-1h", "offset", signed=True)
    (90000, -3600000)
    """
    if isinstance(value, int) and not isinstance(value, bool):
        value = f"{value}ms"
    found = re.fullmatch(r"([+-]?)(\d{1,12}(?:\.\d{1,6})?)(ms|s|m|h|d)", value if isinstance(value, str) else "")
    if found is None or (found[1] and not signed):
        raise wrong_value(
            f"failed to parse setting [{member}] with value [{value}] as a time value: unit is missing or unrecognized"
        )
    millis = int(float(found[2]) * _UNITS[found[3]])
    if not signed and millis < 1:
        raise wrong_value("Zero or negative time interval not supported")
    return -millis if found[1] == "-" else millis


def parse_calendar_interval(value: Any) -> str | None:
    """The unit of a calendar interval, None when it is none.

    >>> parse_calendar_interval("month"), parse_calendar_interval("2d")
    ('M', None)
    """
    return _CALENDAR.get(value) if isinstance(value, str) else None


@dataclass(frozen=True)
class DateGrid:
    """Buckets of a date histogram: fixed lengths of ms, or units of a calendar in a time zone."""

    fixed: int | None
    unit: str | None
    offset: int = 0
    zone: str | None = None

    def floor(self, at: int) -> int:
        """The start of the bucket that a date falls into."""
        at -= self.offset
        if self.fixed is not None:
            shift = zone_offset(at, self.zone)
            return (at + shift) // self.fixed * self.fixed - shift + self.offset
        assert self.unit is not None
        return floor_to(at, self.unit, read_zone(self.zone)) + self.offset

    def next(self, start: int) -> int:
        """The start of the bucket after the one that starts here."""
        if self.fixed is not None:
            following = start + self.fixed
            return following if self.zone is None else max(self.floor(following), start + 1)
        assert self.unit is not None
        return add_to(start - self.offset, 1, self.unit, read_zone(self.zone)) + self.offset


def zone_offset(at: int, zone: str | None) -> int:
    """How far the clock of a zone is ahead of UTC in the hour that a date lies in, in ms."""
    if zone is None:
        return 0
    moment = datetime.fromtimestamp(at // 3_600_000 * 3600, UTC).astimezone(read_zone(zone))
    return (moment.utcoffset() or timedelta()) // timedelta(milliseconds=1)


@dataclass(frozen=True)
class NumberGrid:
    """Buckets of a histogram over numbers."""

    interval: float
    offset: float = 0.0

    def floor(self, value: float) -> float:
        """The start of the bucket that a number falls into."""
        return math.floor((value - self.offset) / self.interval) * self.interval + self.offset

    def next(self, start: float) -> float:
        """The start of the bucket after the one that starts here."""
        return (math.floor((start - self.offset) / self.interval + 0.5) + 1) * self.interval + self.offset
