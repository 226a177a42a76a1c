"""Dates as clients write them: epoch milliseconds, ISO 8601, named formats, patterns, and date math.

All results are epoch milliseconds. ``now`` is an argument, so that the same query gives the same answer twice.
"""

from __future__ import annotations

import calendar
import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

from schemas.errors import Refused
from schemas.query.errors import wrong_value

DEFAULT_FORMAT = "strict_date_optional_time||epoch_millis"
DAY = 86_400_000
_LONG = 2**63 - 1
_ISO = re.compile(
    r"(?P<y>[+-]?\d{4,9})(?:-(?P<mo>\d\d?)(?:-(?P<d>\d\d?)(?:[T ](?P<h>\d\d)(?::(?P<mi>\d\d)(?::(?P<s>\d\d)"
    r"(?:[.,](?P<f>\d{1,9}))?)?)?)?(?P<z>Z|[+-]\d\d(?::?\d\d)?)?)?)?"
)
_TOKENS = re.compile(r"'([^']*)'|([A-Za-z])\2*|.")
"""A literal in quotes, a run of one letter, or a character that stands for itself."""
_MATH = re.compile(r"([+-])(\d*)([yMwdhHms])|/([yMwdhHms])")
_ISO_NAMES = """
    date_optional_time date_time date date_time_no_millis year year_month year_month_day date_hour_minute_second
    date_hour_minute_second_millis date_hour_minute date_hour
"""
_ISO_FORMATS = frozenset(("iso8601", "strict_date_optional_time_nanos")).union(
    *({name, f"strict_{name}"} for name in _ISO_NAMES.split())
)
_PATTERN_PARTS = {
    **dict.fromkeys(("yyyy", "uuuu"), r"(?P<y>\d{4})"),
    "MM": r"(?P<mo>\d\d)",
    "M": r"(?P<mo>\d\d?)",
    "dd": r"(?P<d>\d\d)",
    "d": r"(?P<d>\d\d?)",
    "HH": r"(?P<h>\d\d)",
    "H": r"(?P<h>\d\d?)",
    "mm": r"(?P<mi>\d\d)",
    "ss": r"(?P<s>\d\d)",
    "SSS": r"(?P<f>\d{3})",
    "SSSSSS": r"(?P<f>\d{6})",
    "XXX": r"(?P<z>Z|[+-]\d\d:\d\d)",
    "XX": r"(?P<z>Z|[+-]\d{4})",
    "X": r"(?P<z>Z|[+-]\d\d)",
    "Z": r"(?P<z>[+-]\d{4})",
    "ZZ": r"(?P<z>[+-]\d\d:\d\d)",
}
_NAMED_PATTERNS = {
    "basic_date": "yyyyMMdd",
    "basic_date_time": "yyyyMMdd'T'HHmmss.SSSXX",
    "basic_date_time_no_millis": "yyyyMMdd'T'HHmmssXX",
}
_ISO_SHAPES = {
    "year": "yyyy",
    "year_month": "yyyy-MM",
    "year_month_day": "yyyy-MM-dd",
    "date": "yyyy-MM-dd",
    "date_hour": "yyyy-MM-dd'T'HH",
    "date_hour_minute": "yyyy-MM-dd'T'HH:mm",
    "date_hour_minute_second": "yyyy-MM-dd'T'HH:mm:ss",
    "date_hour_minute_second_millis": "yyyy-MM-dd'T'HH:mm:ss.SSS",
    "date_time_no_millis": "yyyy-MM-dd'T'HH:mm:ssXXX",
}
"""How the named formats are written that are not written in full."""


def parse_date(
    value: str | int | float,
    *,
    now: int | None = None,
    form: str | None = None,
    round_up: bool = False,
    zone: str | None = None,
) -> int:
    """Epoch milliseconds of a date or a piece of date math (``now-2h/d``, ``2026-11-24||+1M``).

    Numbers are epoch milliseconds unless ``form`` says seconds. With ``round_up`` what is left open is filled
    with its last millisecond: that is how an inclusive upper bound of ``2026-11`` covers the month. ``zone``
    applies to dates without one. Raises ``Refused`` when the text is no date, or when it says ``now`` and no
    time was given.

    >>> parse_date("2026-11-24T04:07:00.000Z"), parse_date("now-1m", now=60_000), parse_date("1970-01-01||/d")
    (1795493220000, 0, 0)
    """
    if isinstance(value, (int, float)):
        seconds = form is not None and form.split("||")[0] == "epoch_second"
        if not -_LONG <= value <= _LONG:
            raise Refused(400, "failed to parse date field: the number is out of range", "parse_exception")
        return round(value * 1000) if seconds else int(value)
    zone_of = read_zone(zone)
    try:
        if value.startswith("now"):
            if now is None:
                raise Refused(400, "date math with [now] is not supported here", "parse_exception")
            return _math(now, value[3:], round_up, zone_of, value)
        anchor, bars, operations = value.partition("||")
        at = _absolute(anchor, form, round_up and not operations, zone_of)
        return _math(at, operations, round_up, zone_of, value) if bars else at
    except (ValueError, OverflowError):
        raise Refused(
            400, f"failed to parse date field [{value}] with format [{form or DEFAULT_FORMAT}]", "parse_exception"
        ) from None


def check_format(form: str) -> str:
    """The format itself, or ``Refused`` when it is not one that can be read."""
    for one in form.split("||"):
        if one not in _ISO_FORMATS and one not in ("epoch_millis", "epoch_second"):
            _pattern(one)
    return form


def check_zone(zone: str) -> str:
    """The time zone itself, or ``Refused`` when there is none of that name."""
    read_zone(zone)
    return zone


def read_zone(zone: str | None) -> tzinfo:
    """A time zone from its offset (``+01:00``) or name (``Europe/Berlin``); UTC when None."""
    if zone is None or zone in ("Z", "UTC", "GMT"):
        return UTC
    found = re.fullmatch(r"([+-])(\d\d?):?(\d\d)?", zone)
    try:
        if found:
            minutes = int(found[2]) * 60 + int(found[3] or 0)
            return timezone(timedelta(minutes=-minutes if found[1] == "-" else minutes))
        return ZoneInfo(zone)
    except (ValueError, KeyError, OSError):
        raise wrong_value(f"Unknown time-zone ID: {zone}") from None


def format_date(at: int | float, zone: tzinfo = UTC, form: str | None = None) -> str:
    """A date as OpenSearch writes it: in the first of several formats, in full without one.

    >>> format_date(1795493335499), format_date(1795493335499, form="dd.MM.yyyy||epoch_millis")
    ('2026-11-24T04:08:55.499Z', '24.11.2026')
    """
    at = int(at)
    first = (form or DEFAULT_FORMAT).split("||")[0]
    if first in ("epoch_millis", "epoch_second"):
        return str(at if first == "epoch_millis" else at // 1000)
    try:
        moment = datetime.fromtimestamp(at // 1000, UTC).astimezone(zone)
    except (ValueError, OverflowError, OSError):
        return str(at)
    shape = _ISO_SHAPES.get(first.removeprefix("strict_"))
    if shape is not None or first not in _ISO_FORMATS:
        return _written(moment, at % 1000, shape or _NAMED_PATTERNS.get(first, first))
    text = f"{moment:%Y-%m-%dT%H:%M:%S}.{at % 1000:03d}".rjust(23, "0")
    offset = moment.strftime("%z")
    return text + ("Z" if zone is UTC or (offset == "+0000" and zone is UTC) else f"{offset[:3]}:{offset[3:5]}")


def _written(moment: datetime, millis: int, form: str) -> str:
    offset = moment.strftime("%z")
    colon = f"{offset[:3]}:{offset[3:5]}"
    zulu = offset == "+0000"
    letters = {
        "yyyy": f"{moment.year:04d}", "uuuu": f"{moment.year:04d}", "MM": f"{moment.month:02d}",
        "M": str(moment.month), "dd": f"{moment.day:02d}", "d": str(moment.day), "HH": f"{moment.hour:02d}",
        "H": str(moment.hour), "mm": f"{moment.minute:02d}", "ss": f"{moment.second:02d}", "SSS": f"{millis:03d}",
        "SSSSSS": f"{millis:03d}000", "XXX": "Z" if zulu else colon, "XX": "Z" if zulu else offset,
        "X": "Z" if zulu else offset[:3], "Z": offset, "ZZ": colon,
    }  # fmt: skip
    parts: list[str] = []
    for found in _TOKENS.finditer(form):
        text = found[0]
        if found[1] is None and text[0].isalpha() and text not in letters:
            raise wrong_value(f"Invalid format: [{form}]: Unknown pattern letter: {text[0]}")
        parts.append(found[1] if found[1] is not None else letters.get(text, text))
    return "".join(parts)


def iso_millis(text: str) -> int | None:
    """Epoch milliseconds of an ISO 8601 date (at least with a month), None for any other text.

    >>> iso_millis("2026-11-24"), iso_millis("host-1")
    (1795478400000, None)
    """
    if len(text) < 7 or not text[0].isdigit():
        return None
    found = _ISO.fullmatch(text)
    if found is None or found["mo"] is None:
        return None
    try:
        return _moment(found.groupdict(), False, UTC)
    except (ValueError, OverflowError):
        return None


def _absolute(text: str, form: str | None, round_up: bool, zone: tzinfo) -> int:
    for one in (form or DEFAULT_FORMAT).split("||"):
        if one == "epoch_millis":
            if re.fullmatch(r"-?\d{1,19}(\.\d+)?", text):
                return int(float(text)) if "." in text else int(text)
        elif one == "epoch_second":
            if re.fullmatch(r"-?\d{1,16}(\.\d{1,9})?", text):
                return round(float(text) * 1000)
        else:
            found = (_ISO if one in _ISO_FORMATS else _pattern(one)).fullmatch(text)
            if found:
                return _moment(found.groupdict(), round_up, zone)
    raise ValueError(text)


def _pattern(form: str) -> re.Pattern[str]:
    source = _NAMED_PATTERNS.get(form, form)
    parts: list[str] = []
    for found in _TOKENS.finditer(source):
        text = found[0]
        if found[1] is not None:
            parts.append(re.escape(found[1]))
        elif text[0].isalpha():
            if text not in _PATTERN_PARTS:
                raise wrong_value(f"Invalid format: [{form}]: Unknown pattern letter: {text[0]}")
            parts.append(_PATTERN_PARTS[text])
        else:
            parts.append(re.escape(text))
    try:
        return re.compile("".join(parts))
    except re.error:
        raise wrong_value(f"Invalid format: [{form}]: a field is named twice") from None


def _moment(parts: dict[str, str | None], round_up: bool, zone: tzinfo) -> int:
    def part(name: str, default: int) -> int:
        text = parts.get(name)
        return default if text is None else int(text)

    year, month = part("y", 1970), part("mo", 12 if round_up else 1)
    if not 1 <= year <= 9999 or not 1 <= month <= 12:
        raise ValueError(parts)
    day = part("d", calendar.monthrange(year, month)[1] if round_up else 1)
    hour, minute, second = (part(name, high if round_up else 0) for name, high in (("h", 23), ("mi", 59), ("s", 59)))
    fraction = parts.get("f")
    millis = (999 if round_up else 0) if fraction is None else int(fraction.ljust(3, "0")[:3])
    written = parts.get("z")
    moment = datetime(year, month, day, hour, minute, second, tzinfo=read_zone(written) if written else zone)
    return int((moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(seconds=1)) * 1000 + millis


def _math(at: int, operations: str, round_up: bool, zone: tzinfo, text: str) -> int:
    position = 0
    while position < len(operations):
        found = _MATH.match(operations, position)
        if found is None or len(found[2] or "") > 9:
            raise Refused(400, f"operator not supported for date math [{text}]", "parse_exception")
        position = found.end()
        if found[4]:
            start = floor_to(at, found[4], zone)
            at = add_to(start, 1, found[4], zone) - 1 if round_up else start
        else:
            count = int(found[2] or 1)
            at = add_to(at, -count if found[1] == "-" else count, found[3], zone)
    return at


_FIXED = {"w": 7 * DAY, "d": DAY, "h": 3_600_000, "H": 3_600_000, "m": 60_000, "s": 1000}


def floor_to(at: int, unit: str, zone: tzinfo = UTC) -> int:
    """The start of the year, quarter (``q``), month, week, day, hour, minute or second that ``at`` lies in."""
    if unit in "ms":
        return at - at % _FIXED[unit]
    moment = datetime.fromtimestamp(at // 1000, UTC).astimezone(zone).replace(microsecond=0, second=0, minute=0)
    if unit not in "hH":
        moment = moment.replace(hour=0)
    if unit == "w":
        moment -= timedelta(days=moment.weekday())
    elif unit == "M":
        moment = moment.replace(day=1)
    elif unit == "q":
        moment = moment.replace(day=1, month=(moment.month - 1) // 3 * 3 + 1)
    elif unit == "y":
        moment = moment.replace(day=1, month=1)
    return round(moment.timestamp()) * 1000


def add_to(at: int, count: int, unit: str, zone: tzinfo = UTC) -> int:
    """``at`` plus a number of units; months and years keep the day where the month has it, days the time of day."""
    if unit in "hHms":
        return at + count * _FIXED[unit]
    moment = datetime.fromtimestamp(at // 1000, UTC).astimezone(zone)
    if unit in "wd":
        moment = moment.replace(tzinfo=None) + timedelta(days=count * (7 if unit == "w" else 1))
    else:
        months = moment.year * 12 + moment.month - 1 + count * {"y": 12, "q": 3}.get(unit, 1)
        year, month = divmod(months, 12)
        if not 1 <= year <= 9999:
            raise OverflowError(at)
        day = min(moment.day, calendar.monthrange(year, month + 1)[1])
        moment = moment.replace(year=year, month=month + 1, day=day, tzinfo=None)
    return round(moment.replace(tzinfo=zone).timestamp()) * 1000 + at % 1000
