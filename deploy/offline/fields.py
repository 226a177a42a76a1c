"""The fields that the command line names, and the errors for those that the file does not have."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from deploy.command_line.times import utc
from schemas.errors import Refused

SAMPLE = 1000
"""Rows that are read with all of their fields, for errors to name them."""

YEAR_2000 = 946_684_800_000
"""Epoch ms. Times that seem to be older are rather in seconds."""

MOST_LISTED = 30
"""Names in an error: beyond, how many more there are."""


@dataclass(frozen=True)
class Fields:
    """The time, the categories and the features' fields. ``whole`` asks for all others, too, since a filter may name
    them."""

    time: str
    by: tuple[str, ...]
    features: tuple[str, ...]
    whole: bool = False

    @property
    def named(self) -> tuple[str, ...]:
        """All of them, each once."""
        return tuple(dict.fromkeys((self.time, *self.by, *self.features)))

    def columns(self, header: Sequence[str]) -> list[int]:
        """The places of the columns to read. Raises ``Refused`` (400) for a field that is no column, or two.

        >>> Fields("t", (), ("a.b",)).columns(["x", "t", "a"])
        [1, 2]
        """
        for field in self.named:
            # A column may hold objects, with the field inside.
            count = sum(field == name or field.startswith(name + ".") for name in header)
            if count == 0:
                raise Refused(400, f"There is no column {field}: the file has {listed(header)}")
            if header.count(field) > 1:
                raise Refused(400, f"The file has {header.count(field)} columns {field}")
        return [
            place
            for place, name in enumerate(header)
            if self.whole or any(field == name or field.startswith(name + ".") for field in self.named)
        ]


def listed(names: Sequence[str]) -> str:
    """Names in a sentence.

    >>> listed(["a", "b"]), listed([])
    ('a, b', 'none')
    """
    more = len(names) - MOST_LISTED
    return ", ".join(names[:MOST_LISTED]) + (f" and {more} more" if more > 0 else "") or "none"


def check_times(sample: Sequence[bytes], field: str, median: int) -> None:
    """Raise ``Refused`` (400) if times are numbers, and of another unit: their ``median`` (epoch ms) is before 2000."""
    if median >= YEAR_2000:
        return
    number = next((value for value in values_of(sample, field) if _is_number(value)), None)
    if number is not None:
        raise Refused(400, f"{field} {number} is no plausible time: the rows would be of {utc(median)}")


def check_usable(sample: Sequence[bytes], field: str, *, number: bool) -> None:
    """Raise ``Refused`` (400) for a field that none of these JSON records has, or in which none has a ``number``."""
    found = _values(sample)
    values = found.get(field, found.get(field.removesuffix(".keyword"), []))
    if not values:
        raise Refused(400, f"No row has a value of {field}: there are values of {listed(list(found))}")
    if number and not any(map(_is_number, values)):
        numbers = [path for path, leaves in found.items() if any(map(_is_number, leaves))]
        raise Refused(400, f"{field} holds no number (it has {values[0]!r}): there are numbers in {listed(numbers)}")


def values_of(sample: Sequence[bytes], field: str) -> list[Any]:
    """The values of a field in these JSON records."""
    return _values(sample).get(field, [])


def _values(sample: Sequence[bytes]) -> dict[str, list[Any]]:
    """The values of every field of JSON records."""
    found: dict[str, list[Any]] = {}
    for value in sample:
        try:
            document = json.loads(value)
        except (ValueError, RecursionError):
            continue
        for path, leaf in _leaves(document, ""):
            found.setdefault(path, []).append(leaf)
    return found


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for name, member in value.items():
            yield from _leaves(member, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for item in value:
            yield from _leaves(item, path)
    elif value is not None and value != "":
        yield path, value


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True
