"""A query bound to field types: all that is left to do is to compare values.

Both back ends start here, the one in memory (``schemas.query.memory``) and the one in DuckDB, so they cannot disagree
about the meaning of a query.
"""

from __future__ import annotations

from dataclasses import dataclass

from schemas.query.fields import Field
from schemas.query.tree import Scalar


class Condition:
    """Any of the below."""


@dataclass(frozen=True, slots=True)
class Everything(Condition):
    """Always true."""


@dataclass(frozen=True, slots=True)
class Nothing(Condition):
    """Never true."""


@dataclass(frozen=True, slots=True)
class IdOf(Condition):
    """The document's id is one of these."""

    ids: frozenset[str]


@dataclass(frozen=True, slots=True)
class OnField(Condition):
    """A condition on the values of one field: one of them has to make it true."""

    field: Field


@dataclass(frozen=True, slots=True)
class OneOf(OnField):
    """A value is one of these, all of the field's type; ignoring case when ``folded``."""

    values: frozenset[Scalar]
    folded: bool = False


@dataclass(frozen=True, slots=True)
class Between(OnField):
    """A value lies between two of its type; None is no bound. NaN lies nowhere."""

    lower: Scalar | None
    upper: Scalar | None
    include_lower: bool = True
    include_upper: bool = True


@dataclass(frozen=True, slots=True)
class Present(OnField):
    """There is a value."""


@dataclass(frozen=True, slots=True)
class Fits(OnField):
    """A whole value (a word, in a text field) fits an expression in RE2's syntax; ignoring case when ``folded``."""

    expression: str
    folded: bool = False


@dataclass(frozen=True, slots=True)
class Words(OnField):
    """At least ``needed`` of these words stand in a text."""

    words: tuple[str, ...]
    needed: int


@dataclass(frozen=True, slots=True)
class Phrase(OnField):
    """These words stand next to each other in a text; the last may be cut off when ``prefix`` is set."""

    words: tuple[str, ...]
    prefix: bool


@dataclass(frozen=True, slots=True)
class ByValue(OnField):
    """A value of a record makes the condition for its own type true; ``dates`` is the one for texts that are dates."""

    texts: Condition
    numbers: Condition
    booleans: Condition
    dates: Condition | None = None


@dataclass(frozen=True, slots=True)
class Anywhere(Condition):
    """A value of any field of a record whose path fits the wildcard pattern makes the condition true."""

    pattern: str
    part: Condition


@dataclass(frozen=True, slots=True)
class Every(Condition):
    """All parts are true."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class AtLeast(Condition):
    """At least ``needed`` parts are true."""

    needed: int
    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Not(Condition):
    """The part is not true."""

    part: Condition


@dataclass(frozen=True, slots=True)
class Inside(Condition):
    """One object of a nested field makes the part true all by itself."""

    field: Field
    part: Condition


def every(*parts: Condition) -> Condition:
    """All of the parts, without those that say nothing.

    >>> every(Everything(), Nothing())
    Nothing()
    """
    flat: list[Condition] = []
    for part in parts:
        if isinstance(part, Nothing):
            return part
        if isinstance(part, Every):
            flat.extend(part.parts)
        elif not isinstance(part, Everything):
            flat.append(part)
    return Everything() if not flat else flat[0] if len(flat) == 1 else Every(tuple(flat))


def at_least(needed: int, parts: tuple[Condition, ...]) -> Condition:
    """At least so many of the parts."""
    if needed <= 0:
        return Everything()
    if needed > len(parts):
        return Nothing()
    return every(*parts) if needed == len(parts) else AtLeast(needed, parts)
