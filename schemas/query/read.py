"""Reads the members of one JSON object, each of its type, and refuses what is left over."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, TypedDict

from schemas.errors import Refused
from schemas.query.errors import Limits, malformed, unknown_member, wrong_value

Scalar = str | int | float | bool


class Standard(TypedDict):
    """What every clause may have."""

    boost: float
    name: str | None


class Reader:
    """The members of ``clause``'s object. ``finish`` refuses those that nobody asked for.

    ``manual`` picks the wording: OpenSearch's older clauses say "query does not support", the newer ones
    "unknown field".
    """

    def __init__(self, clause: str, members: Mapping[str, Any], limits: Limits, *, manual: bool = False) -> None:
        self.clause, self.limits = clause, limits
        self._members = dict(members)
        self._asked: list[str] = []
        self._manual = manual
        self._missing: Refused | None = None

    def rest(self) -> dict[str, Any]:
        """The members that were not read yet."""
        return dict(self._members)

    def take(self, *names: str) -> Any:
        """The value of the member under any of its names, None when it is absent or null."""
        self._asked.append(names[0])
        value = None
        for name in names:
            value = self._members.pop(name, value)
        return value

    def text(self, name: str, default: str) -> str:
        """A string; numbers and booleans are taken as their text."""
        value = self.take(name)
        return default if value is None else text_of(self.scalar(name, value))

    def scalar(self, name: str, value: Any) -> Scalar:
        """The value when it is no object and no array."""
        if isinstance(value, (Mapping, list)) or value is None:
            raise self.unsuitable(name, value)
        if isinstance(value, int) and value.bit_length() > 4096:
            # Python refuses to write numbers of more than 4300 digits: nothing behind here has to think of it.
            raise malformed(f"[{self.clause}] {name}: the number has too many digits")
        if isinstance(value, (str, int, float, bool)):
            return value
        raise malformed(f"[{self.clause}] {name} doesn't support values of type: {type(value).__name__}")

    def unsuitable(self, name: str, value: Any) -> Refused:
        """A member with a value of a kind that it can't have."""
        reason = f"[{self.clause}] {name} doesn't support values of type: {token(value)}"
        return malformed(reason) if self._manual else Refused(400, reason, "x_content_parse_exception")

    def value(self, *names: str) -> Scalar:
        """A value that has to be there."""
        value = self.take(*names)
        if value is None:
            self.lack(wrong_value("value cannot be null"))
            return ""
        return self.scalar(names[0], value)

    def lack(self, refused: Refused) -> None:
        """Something is missing: known at the end of the object only, so unknown members are refused first."""
        self._missing = self._missing or refused

    def accept(self, **allowed: tuple[Any, ...]) -> None:
        """Members that are read for compatibility; a value that would change what matches is refused."""
        for name, values in allowed.items():
            value = self.take(name)
            if value is not None and values and value not in values:
                raise malformed(f"[{self.clause}] query does not support [{name}] other than {list(values)}")

    def flag(self, name: str, default: bool) -> bool:
        """A boolean, also as a string."""
        value = self.take(name)
        if value is None:
            return default
        if isinstance(value, bool):
            return value
        if value in ("true", "false"):
            return bool(value == "true")
        raise wrong_value(f"Failed to parse value [{value}] as only [true] or [false] are allowed.")

    def number(self, name: str, default: float) -> float:
        """A finite number, also as a string."""
        value = self.take(name)
        if value is None:
            return default
        try:
            number = float(value) if isinstance(value, (str, int, float)) else math.nan
        except (ValueError, OverflowError):
            number = math.nan
        if not math.isfinite(number):
            raise wrong_value(f"[{self.clause}] failed to parse field [{name}]: [{value}] is no number")
        return number

    def minimum_should_match(self) -> str | None:
        """The text of ``minimum_should_match``, checked."""
        value = self.take("minimum_should_match")
        if value is None:
            return None
        text = text_of(self.scalar("minimum_should_match", value))
        required(text, 1)
        return text

    def standard(self) -> Standard:
        """``boost`` and ``_name``."""
        boost = self.number("boost", 1.0)
        if boost < 0:
            raise wrong_value(
                f"negative [boost] are not allowed in [{self.clause}], use a value between 0 and 1 to deboost"
            )
        name = self.take("_name")
        return {"boost": boost, "name": None if name is None else text_of(self.scalar("_name", name))}

    def finish(self) -> None:
        """Refuse members that were not read, and then what is missing."""
        for member in self._members:
            if self._manual:
                raise malformed(f"[{self.clause}] query does not support [{member}]")
            raise unknown_member(self.clause, member, self._asked)
        if self._missing is not None:
            raise self._missing


def text_of(value: Scalar) -> str:
    """A value as the text it has in JSON.

    >>> text_of(True), text_of(1.5), text_of("a")
    ('true', '1.5', 'a')
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else str(value)


def token(value: Any) -> str:
    """The name of a JSON value's first token, as OpenSearch's messages give it."""
    if value is None:
        return "VALUE_NULL"
    if isinstance(value, bool):
        return "VALUE_BOOLEAN"
    if isinstance(value, (int, float)):
        return "VALUE_NUMBER"
    if isinstance(value, str):
        return "VALUE_STRING"
    return "START_ARRAY" if isinstance(value, list) else "START_OBJECT"


def required(specification: str, clauses: int) -> int:
    """How many of ``clauses`` optional clauses ``minimum_should_match`` asks for.

    >>> required("2", 5), required("-1", 5), required("75%", 5), required("-25%", 5), required("3<90%", 3)
    (2, 4, 3, 4, 3)
    """
    needed = clauses
    try:
        if "<" in specification:
            for condition in specification.split():
                above, _, then = condition.partition("<")
                if clauses <= int(above):
                    return needed
                needed = required(then, clauses)
            return needed
        text = specification.strip()
        if text.endswith("%"):
            share = int(text[:-1])
            needed = int(clauses * abs(share) / 100)
            return max(0, clauses - needed if share < 0 else needed)
        count = int(text)
    except ValueError:
        raise wrong_value(f'For input string: "{specification}" in [minimum_should_match]') from None
    return max(0, clauses + count if count < 0 else count)
