"""Lengths of time in a detector: ``{"period": {"interval": 1, "unit": "Minutes"}}``."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from schemas.errors import DetectorInvalid
from schemas.token import as_integer, as_object, as_text, illegal_argument

Unit = Literal["Minutes", "Seconds"]

_MILLISECONDS: dict[Unit, int] = {"Seconds": 1_000, "Minutes": 60_000}
_UNITS = "Nanos Micros Millis Hours HalfDays Days Weeks Months Years Decades Centuries Millennia Eras Forever"
_UNSUPPORTED = _UNITS.split()


class Interval(msgspec.Struct, frozen=True):
    """A whole number of minutes or seconds.

    >>> Interval(2, "Minutes").milliseconds
    120000
    """

    interval: int
    unit: Unit

    @property
    def milliseconds(self) -> int:
        """The length in ms."""
        return self.interval * _MILLISECONDS[self.unit]

    def document(self) -> dict[str, Any]:
        """The JSON form."""
        return {"period": {"interval": self.interval, "unit": self.unit}}

    def __str__(self) -> str:
        return f"{self.interval} {self.unit}"


def parse_interval(value: Any, field: str, negative: str) -> Interval:
    """Read the JSON form. Zero is left to the caller, a negative length is ``DetectorInvalid(field, negative)``.

    Raises ``Refused`` (400) with OpenSearch's words for what is no period or has a unit other than minutes or
    seconds; a unit's case doesn't matter, a fraction is cut off.

    >>> parse_interval({"period": {"interval": 1.5, "unit": "minutes"}}, "window_delay", "")
    Interval(interval=1, unit='Minutes')
    """
    document = as_object(value)
    if "period" not in document:
        raise illegal_argument("Find no schedule definition")
    period = as_object(document["period"])
    amount = as_integer(period.get("interval", 0))
    unit = _parse_unit(as_text(period["unit"]) if "unit" in period else "")
    if amount < 0:
        raise DetectorInvalid(field, negative)
    return Interval(amount, unit)


def _parse_unit(name: str) -> Unit:
    wanted = name.upper()
    for unit in _MILLISECONDS:
        if unit.upper() == wanted:
            return unit
    for known in _UNSUPPORTED:
        if known.upper() == wanted.replace("_", ""):
            raise illegal_argument(f"Time unit {known} is not supported")
    raise illegal_argument(f"No enum constant java.time.temporal.ChronoUnit.{wanted}")
