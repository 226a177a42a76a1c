"""A query bound to field types: what is left to do is to compare values.

Both targets start here, a function on documents (``matching``) and SQL (``sql``), so that they can't disagree about
what a query means.
"""

from __future__ import annotations

from dataclasses import dataclass

from api.search.mappings import FieldType

Value = str | int | float | bool


@dataclass(frozen=True, slots=True)
class Field:
    """Values of one type at a path, which begins at the document or at ``scope``, the nested object looked at."""

    path: str
    type: FieldType
    scope: str = ""

    @property
    def within(self) -> str:
        """The path inside the scope."""
        return self.path[len(self.scope) + 1 :] if self.scope else self.path


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
class OneOf(Condition):
    """A value is one of these, all of the field's type; letters alike when ``folded``."""

    field: Field
    values: frozenset[Value]
    folded: bool = False


@dataclass(frozen=True, slots=True)
class Between(Condition):
    """A value lies between two of its type; None is no bound."""

    field: Field
    lower: Value | None
    upper: Value | None
    include_lower: bool = True
    include_upper: bool = True


@dataclass(frozen=True, slots=True)
class Present(Condition):
    """There is a value."""

    field: Field


@dataclass(frozen=True, slots=True)
class Prefixed(Condition):
    """A value (a word, in a text field) begins so."""

    field: Field
    start: str
    folded: bool


@dataclass(frozen=True, slots=True)
class Wild(Condition):
    """A value (a word, in a text field) fits a wildcard pattern."""

    field: Field
    pattern: str
    folded: bool


@dataclass(frozen=True, slots=True)
class Fitting(Condition):
    """A value (a word, in a text field) fits a regular expression."""

    field: Field
    pattern: str
    folded: bool


@dataclass(frozen=True, slots=True)
class Words(Condition):
    """At least ``needed`` of these words stand in a text."""

    field: Field
    words: tuple[str, ...]
    needed: int


@dataclass(frozen=True, slots=True)
class Phrase(Condition):
    """These words stand next to each other in a text; the last may be cut off when ``prefix`` is set."""

    field: Field
    words: tuple[str, ...]
    prefix: bool


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
    if needed == len(parts):
        return every(*parts)
    return AtLeast(needed, parts)
