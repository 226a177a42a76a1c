"""JSON as producers write it: strict where that works, with the liberties that Python's own writer takes where not."""

from __future__ import annotations

import json
import math
from typing import Any

import msgspec

UNREADABLE = (msgspec.MsgspecError, ValueError, RecursionError)
"""What ``read_document`` raises."""


def read_document(value: bytes) -> Any:
    """The JSON of a record, with the liberties of ``read_leniently`` where it needs them. Raises ``ValueError``,
    ``msgspec.MsgspecError`` or ``RecursionError``.
    """
    try:
        return msgspec.json.decode(value)
    except (msgspec.MsgspecError, ValueError) as error:
        try:
            return read_leniently(value)
        except (ValueError, RecursionError):
            raise error from None


def complaint(value: bytes, error: Exception) -> str:
    """What to tell people of a record that ``read_document`` can't read."""
    if not value.strip():
        return "the record is empty"
    return "the JSON is nested too deep" if isinstance(error, RecursionError) else str(error)[:200]


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
