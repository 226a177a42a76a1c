"""The unit of times that are numbers: told from how large they are, since producers agree on none."""

from __future__ import annotations

from typing import Literal

TimeUnit = Literal["seconds", "milliseconds", "microseconds", "nanoseconds"]

UNIT_RANGES: dict[TimeUnit, tuple[int, int]] = {
    "seconds": (10**8, 10**11),
    "milliseconds": (10**11, 10**14),
    "microseconds": (10**14, 10**17),
    "nanoseconds": (10**17, 10**20),
}
"""The numbers that are taken for a unit, the second one excluded: March 1973 to the year 5138 in each of them.

A number below all of them says nothing about its unit."""

TIME_UNITS = tuple(UNIT_RANGES)


def unit_of(number: float) -> TimeUnit | None:
    """The unit in which a number is a time of our age; None for a number that says nothing about it.

    >>> unit_of(1795489200), unit_of(1795489200.5), unit_of(1795489200123), unit_of(1795489200123456789), unit_of(80)
    ('seconds', 'seconds', 'milliseconds', 'nanoseconds', None)
    """
    size = abs(number)
    return next((unit for unit, (low, high) in UNIT_RANGES.items() if low <= size < high), None)
