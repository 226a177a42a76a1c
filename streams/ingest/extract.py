"""Single values of a record: finding them by dotted path, and turning them into times and numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

MISSING = object()
"""What ``find`` returns where there is nothing; null counts as nothing, too."""

MAX_TIME = 253_402_300_800_000
"""Year 10000 in epoch ms: a time beyond is a unit mixed up, not a time."""


class Unusable(ValueError):
    """A value that is there but can't be used; the text says what it is."""


def find(document: Any, path: str) -> Any:
    """The value at a dotted path: nested objects or a member with dots in its name, as OpenSearch sees both alike.

    >>> find({"a": {"b": 1}}, "a.b"), find({"a.b": 2}, "a.b"), find({"a": 3}, "a.b") is MISSING
    (1, 2, True)
    """
    if not isinstance(document, Mapping):
        return MISSING
    value = document.get(path, MISSING)
    if value is None:
        return MISSING
    if value is not MISSING or "." not in path:
        return value
    for cut in range(len(path)):
        if path[cut] == "." and path[:cut] in document:
            value = find(document[path[:cut]], path[cut + 1 :])
            if value is not MISSING:
                return value
    return MISSING


def to_time(value: Any) -> int:
    """Epoch ms of a number, a numeric string or an ISO 8601 text (UTC where it names no zone).

    Raises ``Unusable``.

    >>> to_time("1970-01-01T00:00:01Z"), to_time("1500"), to_time(1.9)
    (1000, 1500, 1)
    """
    if isinstance(value, str):
        return _text_time(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Unusable(f"a time must be a number or a text, not {_kind(value)}")
    if not -MAX_TIME < value < MAX_TIME:
        raise Unusable(f"time {value!r} is not within the years that can be; epoch milliseconds are expected")
    return math.floor(value)


def _text_time(text: str) -> int:
    try:
        return to_time(float(text))
    except Unusable:
        raise
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Unusable(f"time {text[:40]!r} is neither a number nor ISO 8601") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return math.floor(moment.timestamp() * 1000)


def to_number(value: Any) -> float:
    """A finite number, from a number or a numeric string. Raises ``Unusable``.

    >>> to_number("1.5")
    1.5
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise Unusable(f"a number is expected, not {_kind(value)}")
    try:
        number = float(value)
    except (ValueError, OverflowError):
        raise Unusable(f"{str(value)[:40]!r} is not a number") from None
    if not math.isfinite(number):
        raise Unusable(f"{str(value)[:40]!r} is not a finite number")
    return number


def to_category(value: Any) -> str | int:
    """A category value: a text, a whole number or a boolean. Raises ``Unusable``."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int):
        return value
    if isinstance(value, float):
        return str(value)
    raise Unusable(f"a category must be a text or a number, not {_kind(value)}")


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "a boolean"
    return (
        "an object" if isinstance(value, Mapping) else "an array" if isinstance(value, list) else repr(value)[:40]
    )
