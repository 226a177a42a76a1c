"""Single values of a record: finding them by dotted path, and turning them into times, numbers and categories."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt

from schemas.query.values import field_values

Int64Array = npt.NDArray[np.int64]

MAX_TIME = 34_359_738_368_000
"""Year 3058 in epoch ms (2^35 s): a time beyond is a unit mixed up, not a time, and windows could not count it."""

_FORMS = {
    len(form): np.array([ord(letter) for letter in form], np.uint32)
    for form in ("0000-00-00T00:00:00Z", "0000-00-00T00:00:00.000Z")
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
MOST_CATEGORY_BYTES = 32_766
"""Bytes; the longest text that OpenSearch takes as a keyword. Keys and results carry it several times."""


class Unusable(ValueError):
    """A value that is there but can't be used; the text says what it is."""


def values_of(document: Any, path: str) -> list[Any]:
    """All values at a dotted path: through objects, arrays and members with dots in their names, without nulls.

    ``.keyword`` behind a path means the same field, as OpenSearch names the text itself.

    >>> values_of({"a": [{"b": 1}, {"b": [2, None]}], "a.b": 3}, "a.b")
    [3, 1, 2]
    """
    return field_values(document, path)


def read_leniently(value: bytes) -> Any:
    """JSON with the liberties that Python's own writer takes: ``NaN``, ``Infinity`` and numbers without limit.

    Bytes that are no UTF-8 become halves of surrogate pairs, which no field takes for a text: what is wrong in one
    member costs nobody else anything, as on the fast way, which does not look into members that nobody reads.
    Integers of more digits than Python reads (4,300) are infinite. Raises ``ValueError`` or ``RecursionError``.

    >>> read_leniently(b'[NaN, 1e999]'), read_leniently(bytes([34, 255, 34]))
    ([nan, inf], '\\udcff')
    """
    return json.loads(value.decode(errors="surrogateescape"), parse_int=_integer)


def _integer(text: str) -> int | float:
    try:
        return int(text)
    except ValueError:
        return math.inf if text[0] != "-" else -math.inf


def only(value: Any) -> Any:
    """The value itself where an array holds just one, None where it holds none; an array of several as it is.

    >>> only([7]), only([None]), only([1, 2]), only("a")
    (7, None, [1, 2], 'a')
    """
    if not isinstance(value, list):
        return value
    values = values_of({"": value}, "")
    return None if not values else values[0] if len(values) == 1 else values


def to_time(value: Any) -> int:
    """Epoch ms of a number, a numeric string or an ISO 8601 text (UTC where it names no zone).

    Raises ``Unusable``.

    >>> to_time("1970-01-01T00:00:01Z"), to_time("1500"), to_time(1.9)
    (1000, 1500, 1)
    """
    if isinstance(value, str):
        return _text_time(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Unusable(f"a time must be a number or a text, not {shown(value)}")
    if not -MAX_TIME < value < MAX_TIME:
        raise Unusable(f"time {shown(value)} is not within the years that can be; epoch milliseconds are expected")
    return math.floor(value)


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


def _text_time(text: str) -> int:
    if text[4:5] == "-":
        return to_time(_moment(text))
    try:
        number = float(text)
    except ValueError:
        return to_time(_moment(text))
    return to_time(number)


def _moment(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return (moment - _EPOCH) // _MILLISECOND
    except (ValueError, OverflowError):
        raise Unusable(f"time {shown(text)} is neither a number nor ISO 8601") from None


def to_number(value: Any) -> float:
    """A finite number, from a number, a numeric string or a boolean, which counts as 1 or 0. Raises ``Unusable``.

    >>> to_number("1.5"), to_number(True)
    (1.5, 1.0)
    """
    if not isinstance(value, int | float | str):
        raise Unusable(f"a number is expected, not {shown(value)}")
    try:
        # Python alone reads 1_000 as a number.
        number = math.nan if isinstance(value, str) and "_" in value else float(value)
    except (ValueError, OverflowError):
        raise Unusable(f"{shown(value)} is not a number") from None
    if not math.isfinite(number):
        raise Unusable(f"{shown(value)} is not a finite number")
    return number


def to_category(value: Any) -> str | int:
    """A category value: a text, a number or a boolean, the latter two as JSON writes them. Raises ``Unusable``.

    >>> to_category("eu"), to_category(404), to_category(True), to_category(1.5)
    ('eu', 404, 'true', '1.5')
    """
    value = to_text(value)
    # A character is at most four bytes.
    if isinstance(value, str) and 4 * len(value) > MOST_CATEGORY_BYTES < (size := len(value.encode())):
        raise Unusable(f"a category has at most {MOST_CATEGORY_BYTES:,} bytes, not {size:,}")
    return value


def to_text(value: Any) -> str | int:
    """As ``to_category``, of any length."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return str(value)
    if not isinstance(value, str):
        raise Unusable(f"a text or a number is expected, not {shown(value)}")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise Unusable("the text holds bytes that are no UTF-8, or half of a surrogate pair") from None
    return value


def shown(value: Any) -> str:
    """A value in an error's text, never long.

    >>> shown({}), shown(None), shown("x" * 99)
    ('an object', 'null', "'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...")
    """
    if value is None or isinstance(value, bool):
        return "null" if value is None else "a boolean"
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, list):
        return "an array"
    try:
        text = repr(value)
    except ValueError:
        return "a number of too many digits"
    return text if len(text) <= 43 else text[:40] + "..."
