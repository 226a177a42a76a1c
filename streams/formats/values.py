"""Single values of a record: finding them by dotted path, and turning them into numbers and categories."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from schemas.query.values import field_values

MOST_CATEGORY_BYTES = 32_766
"""Bytes; the longest text that OpenSearch takes as a keyword. Keys and results carry it several times."""


_NO_VALUE = frozenset(("", "-", "n/a", "na", "none", "null"))
"""What producers write in place of a number that they don't have, besides NaN and Infinity."""


class Unusable(ValueError):
    """A value that is there but can't be used; the text says what it is."""


class Missing(Unusable):
    """A value that says that there is none."""


def only(value: Any) -> Any:
    """The value itself where an array holds just one, None where it holds none; an array of several as it is.

    >>> only([7]), only([None]), only([1, 2]), only("a")
    (7, None, [1, 2], 'a')
    """
    if not isinstance(value, list):
        return value
    values = field_values({"": value}, "")
    return None if not values else values[0] if len(values) == 1 else values


def to_number(value: Any) -> float:
    """A finite number, from a number, a numeric string or a boolean, which counts as 1 or 0.

    Raises ``Missing`` for what stands for no value (NaN, "", "n/a" and such) or is beyond a double, ``Unusable`` for
    the rest.

    >>> to_number("1.5"), to_number(True)
    (1.5, 1.0)
    """
    if not isinstance(value, int | float | str):
        raise Unusable(f"a number is expected, not {shown(value)}")
    try:
        number = float(value)
    except OverflowError:
        raise Missing(f"{shown(value)} is larger than a number can be") from None
    except ValueError:
        if isinstance(value, str) and value.strip().lower() in _NO_VALUE:
            raise Missing(f"{shown(value)} stands for no value") from None
        raise Unusable(f"{shown(value)} is not a number") from None
    if not math.isfinite(number):
        raise Missing(f"{shown(value)} is not a finite number")
    # Python alone reads 1_000 as a number.
    if isinstance(value, str) and "_" in value:
        raise Unusable(f"{shown(value)} is not a number")
    return number


def to_category(value: Any) -> str | int:
    """A category value: a text, a number or a boolean, the latter two as JSON writes them. Raises ``Unusable``.

    >>> to_category("eu"), to_category(404), to_category(True), to_category(1.5)
    ('eu', 404, 'true', '1.5')
    """
    text = to_text(value)
    # A character is at most four bytes.
    if isinstance(text, str) and 4 * len(text) > MOST_CATEGORY_BYTES < (size := len(text.encode())):
        raise Unusable(f"a category has at most {MOST_CATEGORY_BYTES:,} bytes, not {size:,}")
    return text


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
