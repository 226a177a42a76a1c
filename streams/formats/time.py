"""Times of records: numbers in any unit and ISO 8601 texts, as epoch milliseconds."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt

from schemas.time_unit import UNIT_RANGES, TimeUnit, unit_of
from streams.formats.values import Unusable, shown

Int64Array = npt.NDArray[np.int64]
Float64Array = npt.NDArray[np.float64]

MAX_TIME = 34_359_738_368_000
"""Year 3058 in epoch ms (2^35 s): a time beyond is a mistake, not a time, and windows could not count it."""

_FORMS = {
    len(form): np.array([ord(letter) for letter in form], np.uint32)
    for form in ("0000-00-00T00:00:00Z", "0000-00-00T00:00:00.000Z")
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_MOST_DIGITS = 20
_DIVISORS: dict[TimeUnit, int] = {"milliseconds": 1, "microseconds": 1_000, "nanoseconds": 1_000_000}


def to_time(value: Any, unit: TimeUnit | None = None) -> int:
    """Epoch ms of a number, a numeric string or an ISO 8601 text (UTC where it names no zone).

    Without ``unit`` each number tells its own by its size; one that doesn't is in milliseconds, as in OpenSearch. With
    ``unit`` a number that must be in another one is refused. Raises ``Unusable``.

    >>> to_time("1970-01-01T00:00:01Z"), to_time("1795489200"), to_time(1795489200.123), to_time(1795489200123456)
    (1000, 1795489200000, 1795489200123, 1795489200123)
    >>> to_time(1795489200, "milliseconds")
    Traceback (most recent call last):
    streams.formats.values.Unusable: 1795489200 is no time in milliseconds; in seconds it is 2026-11-24T03:00:00Z
    """
    if isinstance(value, str):
        return _text_time(value, unit)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Unusable(f"a time must be a number or a text, not {shown(value)}")
    told = unit_of(value)
    if unit is not None and told is not None and told != unit:
        there = moment_text(_milliseconds(value, told))
        raise Unusable(f"{shown(value)} is no time in {unit}; in {told} it is {there}")
    # NaN and the infinite have no unit.
    if not -MAX_TIME < value < MAX_TIME and told is None:
        raise Unusable(f"time {shown(value)} is not within the years that can be")
    return _within(_milliseconds(value, unit or told or "milliseconds"), value)


def to_times(texts: Sequence[str]) -> Int64Array | None:
    """``to_time`` of many texts at once where all are in the usual form, with Z and all with or all without ms.

    None for others: they are to be read one by one.

    >>> to_times(["1970-01-01T00:00:01Z", "1970-01-01T00:00:02Z"]), to_times(["1970-01-01"])
    (array([1000, 2000]), None)
    """
    width = len(texts[0])
    form = _FORMS.get(width)
    if form is None or set(map(len, texts)) != {width}:
        return None
    letters = np.array(texts).view(np.uint32).reshape(len(texts), width)
    digits = form == ord("0")
    if (letters[:, ~digits] != form[~digits]).any() or (letters[:, digits] - ord("0") > 9).any():
        return None
    try:
        moments = letters[:, :-1].astype(np.uint8).view(f"S{width - 1}")[:, 0].astype("datetime64[ms]")
    except ValueError:
        return None
    times = moments.astype(np.int64)
    return times if ((times > -MAX_TIME) & (times < MAX_TIME)).all() else None


def number_times(numbers: Int64Array | Float64Array, unit: TimeUnit | None = None) -> Int64Array | None:
    """``to_time`` of many numbers at once where all are in one unit; None for others, to be read one by one.

    >>> number_times(np.array([1795489200, 1795489201])), number_times(np.array([1795489200, 1795489200123]))
    (array([1795489200000, 1795489201000]), None)
    """
    if not len(numbers):
        return None
    low, high = numbers.min(), numbers.max()
    unit = unit or unit_of(low)
    if unit is None or not (low >= UNIT_RANGES[unit][0] and high < UNIT_RANGES[unit][1]):
        return None
    if numbers.dtype == np.int64:
        whole: Int64Array = numbers.astype(np.int64, copy=False)
        times = whole * 1000 if unit == "seconds" else whole if unit == "milliseconds" else whole // _DIVISORS[unit]
    else:
        parts = np.rint(numbers * 1e6) // 1000 if unit == "seconds" else numbers // _DIVISORS[unit]
        times = parts.astype(np.int64)
    return times if times.max() < MAX_TIME else None


def told_unit(values: Iterable[Any]) -> TimeUnit | None:
    """The unit that most of these times are in, told from the numbers and numeric texts among them; None for none.

    >>> told_unit([1795489200, "1795489201", 1795489200123, "2026-11-24"]), told_unit(["2026-11-24", 80])
    ('seconds', None)
    """
    units: Counter[TimeUnit] = Counter()
    for value in values:
        try:
            number = value if isinstance(value, int | float) and not isinstance(value, bool) else float(str(value))
        except ValueError:
            continue
        if (unit := unit_of(number)) is not None:
            units[unit] += 1
    return units.most_common(1)[0][0] if units else None


def moment_text(time: int) -> str:
    """Epoch ms as people read it, in UTC; the bare number beyond the years of a calendar.

    >>> moment_text(1795489200000), moment_text(1795489200123)
    ('2026-11-24T03:00:00Z', '2026-11-24T03:00:00.123Z')
    """
    try:
        moment = _EPOCH + timedelta(milliseconds=time)
    except OverflowError:
        return str(time)
    return moment.isoformat(timespec="milliseconds" if time % 1000 else "seconds").replace("+00:00", "Z")


def _milliseconds(value: float, unit: TimeUnit) -> int:
    if unit == "seconds":
        # A double of our age holds fractions of a microsecond: what is less is noise, and must not cost a millisecond.
        return value * 1000 if isinstance(value, int) else round(value * 1e6) // 1000
    return math.floor(value // _DIVISORS[unit])


def _within(time: int, value: Any) -> int:
    if not -MAX_TIME < time < MAX_TIME:
        raise Unusable(f"time {shown(value)} is not within the years that can be")
    return time


def _text_time(text: str, unit: TimeUnit | None) -> int:
    if text[4:5] != "-":
        try:
            # As a double, nanoseconds would lose their last digits.
            whole = text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS
            return to_time(int(text) if whole else float(text), unit)
        except Unusable:
            raise
        except ValueError:
            pass
    return _within(_moment(text), text)


def _moment(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return (moment - _EPOCH) // _MILLISECOND
    except (ValueError, OverflowError):
        raise Unusable(f"time {shown(text)} is neither a number nor ISO 8601") from None
