"""Times in texts that the workers do not read: of a given format, in a given time zone, or with a zone's name."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from schemas.errors import Refused

# An abbreviation such as CET or EST is no such name: it may mean several zones, or a zone at another time of the year.
_NAMED = re.compile(r"(.+?) ?\[?((?:[A-Z]\w+/[\w+/-]+)|UTC|GMT)\]?")

TimeText = Callable[[str], str]
"""Turns the text of a time into ISO 8601 in UTC; leaves a text alone that workers read, or that is none of these."""


def time_text(pattern: str | None, zone: str | None) -> TimeText:
    """Reads times of ``pattern`` (as ``datetime.strptime``), else ISO 8601 or what workers read.

    A time without an offset and without a zone's name is in ``zone``, UTC if None. Where clocks are set back, the first
    of the two hours is meant. Raises ``Refused`` (400) for a zone that there is not.

    >>> time_text("%d.%m.%Y %H:%M", "Europe/Berlin")("05.03.2024 12:30")
    '2024-03-05T11:30:00.000Z'
    >>> time_text(None, None)("2024-07-01 12:00:00 America/New_York"), time_text(None, None)("1709638200000")
    ('2024-07-01T16:00:00.000Z', '1709638200000')
    >>> time_text("%Y%m%d", None)("2024")
    '2024 (unreadable)'
    """
    local = UTC if zone is None else _zone(zone)

    def read(text: str) -> str:
        try:
            if pattern is not None:
                return _utc(datetime.strptime(text.strip(), pattern), local)  # noqa: DTZ007 - ``_utc`` sets the zone
            if (named := _NAMED.fullmatch(text)) is not None:
                return _utc(datetime.fromisoformat(named[1]), ZoneInfo(named[2]))
            return text if zone is None or _is_number(text) else _utc(datetime.fromisoformat(text.strip()), local)
        except (ValueError, KeyError, OverflowError):
            # What is not in the given format must not be read in another way: a year may look like milliseconds.
            return f"{text} (unreadable)"

    return read


def _utc(moment: datetime, zone: object) -> str:
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=zone)  # type: ignore[arg-type]
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise Refused(400, f"{name!r} is no time zone: an IANA name is expected, such as Europe/Berlin") from None


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
