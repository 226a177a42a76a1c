"""Members of a JSON document as OpenSearch's parser takes them: lenient where it is, refused in its words.

Each function returns the value as the wanted type or raises ``Refused`` with status 400. The document was
decoded before it came here, so the position in a parsing error is always line 1, column 1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from schemas.errors import Refused

INT_MAX = 2**31 - 1


def token(value: Any) -> str:
    """The name of the JSON token that ``value`` begins with.

    >>> token({}), token([]), token("a"), token(1), token(None)
    ('START_OBJECT', 'START_ARRAY', 'VALUE_STRING', 'VALUE_NUMBER', 'VALUE_NULL')
    """
    if isinstance(value, Mapping):
        return "START_OBJECT"
    if isinstance(value, list | tuple):
        return "START_ARRAY"
    if isinstance(value, str):
        return "VALUE_STRING"
    if isinstance(value, bool):
        return "VALUE_BOOLEAN"
    return "VALUE_NULL" if value is None else "VALUE_NUMBER"


def parsing_failed(reason: str) -> Refused:
    """OpenSearch's ``parsing_exception``."""
    return Refused(400, reason, "parsing_exception", {"line": 1, "col": 1})


def validation_failed(reason: str, kind: str = "action_request_validation_exception") -> Refused:
    """What OpenSearch says of a request that is read, but can't be carried out as it is."""
    return Refused(400, f"Validation Failed: 1: {reason};", kind)


def illegal_argument(reason: str) -> Refused:
    """OpenSearch's ``illegal_argument_exception``."""
    return Refused(400, reason, "illegal_argument_exception")


def _unexpected(wanted: str, value: Any) -> Refused:
    return parsing_failed(f"Failed to parse object: expecting token of type [{wanted}] but found [{token(value)}]")


def as_object(value: Any) -> Mapping[str, Any]:
    """``value``, which must be a JSON object."""
    if not isinstance(value, Mapping):
        raise _unexpected("START_OBJECT", value)
    return value


def as_array(value: Any) -> list[Any]:
    """``value``, which must be a JSON array."""
    if not isinstance(value, list | tuple):
        raise _unexpected("START_ARRAY", value)
    return list(value)


def as_text(value: Any) -> str:
    """``value`` as text: numbers and booleans are taken as they would be written.

    >>> as_text(12), as_text(True)
    ('12', 'true')
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    raise _unexpected("VALUE_STRING", value)


def as_number(value: Any) -> float:
    """``value`` as a double; a numeric string is taken, too.

    >>> as_number("2.5")
    2.5
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise _unexpected("VALUE_NUMBER", value)
    try:
        return float(value)
    except (ValueError, OverflowError):
        raise Refused(400, f'For input string: "{value}"', "number_format_exception") from None


def as_integer(value: Any, largest: int = INT_MAX) -> int:
    """``value`` as an integer of at most ``largest``: fractions are cut off, a numeric string is taken.

    >>> as_integer(1.5), as_integer("-7")
    (1, -7)
    """
    number = value if isinstance(value, int) and not isinstance(value, bool) else as_number(value)
    if not math.isfinite(number) or not -largest - 1 <= number <= largest:
        raise illegal_argument(f"Numeric value ({value}) out of range ({-largest - 1} - {largest})")
    return int(number)


def as_boolean(value: Any) -> bool:
    """``value`` as a boolean; the strings ``true`` and ``false`` are taken, too."""
    if isinstance(value, bool):
        return value
    if value in ("true", "false"):
        return bool(value == "true")
    if isinstance(value, str):
        raise illegal_argument(f"Failed to parse value [{value}] as only [true] or [false] are allowed.")
    raise _unexpected("VALUE_BOOLEAN", value)
