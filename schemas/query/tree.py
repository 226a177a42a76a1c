"""The parse tree of the query language: one frozen class a clause.

    Query
    ├── Leaf                one field: Term, Terms, Range, Exists, Prefix, Wildcard, Match, MatchPhrase
    ├── MatchAll, MatchNone, Ids
    ├── Bool, ConstantScore, Nested
    ├── MultiField          one leaf over several fields or patterns
    └── Written             multi_match or query_string, with the tree that it means

The tree holds what was asked, not how to find it: ``bind`` turns it into conditions on values.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import Any, Literal

Scalar = str | int | float | bool
Operator = Literal["OR", "AND"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """Any clause. ``boost`` multiplies its score; ``name`` is the client's ``_name``."""

    boost: float = 1.0
    name: str | None = None

    def children(self) -> tuple[Query, ...]:
        """The clauses directly inside this one."""
        values = [getattr(self, each.name) for each in fields(self)]
        several = [value if isinstance(value, tuple) else (value,) for value in values]
        return tuple(clause for clauses in several for clause in clauses if isinstance(clause, Query))

    def fields(self) -> frozenset[str]:
        """Every field (or field pattern) that the clause and those inside it look at.

        >>> Bool(must=(Term(field="host", value="a"),), must_not=(Exists(field="error"),)).fields() == {"host", "error"}
        True
        """
        return frozenset().union(*(child.fields() for child in self.children()))

    def walk(self) -> Iterator[Query]:
        """This clause and all clauses inside it."""
        yield self
        for child in self.children():
            yield from child.walk()


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf(Query):
    """A clause on one field, given as a dotted path."""

    field: str

    def fields(self) -> frozenset[str]:
        """The field itself."""
        return frozenset((self.field,))


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchAll(Query):
    """Every document."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchNone(Query):
    """No document."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Term(Leaf):
    """A value of the field is exactly ``value``, after both were brought to the field's type."""

    value: Scalar
    case_insensitive: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms(Leaf):
    """A value of the field is one of ``values``."""

    values: tuple[Scalar, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Range(Leaf):
    """A value of the field lies between ``lower`` and ``upper``; None is no bound. Dates may be date math."""

    lower: Scalar | None = None
    upper: Scalar | None = None
    include_lower: bool = True
    include_upper: bool = True
    format: str | None = None
    time_zone: str | None = None
    relation: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Exists(Leaf):
    """The field has a value that is not null."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ids(Query):
    """The document's id is one of ``values``."""

    values: tuple[str, ...]

    def fields(self) -> frozenset[str]:
        """The metadata field ``_id``."""
        return frozenset(("_id",))


@dataclass(frozen=True, slots=True, kw_only=True)
class Prefix(Leaf):
    """A value of the field begins with ``value``."""

    value: str
    case_insensitive: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Wildcard(Leaf):
    r"""A whole value of the field fits the pattern: ``*`` any text, ``?`` one character, ``\`` escapes."""

    pattern: str
    case_insensitive: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Match(Leaf):
    """The words of ``text``: any of them (OR), all (AND), or as many as ``minimum_should_match`` says.

    On a field that is not text the whole of ``text`` is one term. ``lenient`` lets a text that is no value of
    the field's type match nothing instead of being refused.
    """

    text: Scalar
    operator: Operator = "OR"
    minimum_should_match: str | None = None
    zero_terms: str = "NONE"
    lenient: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchPhrase(Leaf):
    """The words of ``text`` next to each other in this order; the last may be cut off when ``prefix`` is set."""

    text: Scalar
    prefix: bool = False
    zero_terms: str = "NONE"
    lenient: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Bool(Query):
    """All of ``must`` and ``filter``, none of ``must_not``, and as many of ``should`` as are needed.

    At least one ``should`` is needed when there is neither ``must`` nor ``filter``.
    """

    must: tuple[Query, ...] = ()
    filter: tuple[Query, ...] = ()
    must_not: tuple[Query, ...] = ()
    should: tuple[Query, ...] = ()
    adjust_pure_negative: bool = True
    minimum_should_match: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConstantScore(Query):
    """What ``filter`` matches, with the boost as the score."""

    filter: Query


@dataclass(frozen=True, slots=True, kw_only=True)
class Nested(Query):
    """One of the objects at ``path`` matches ``query`` all by itself. Fields inside are full paths."""

    path: str
    query: Query
    score_mode: str = "avg"
    ignore_unmapped: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MultiField(Query):
    """``leaf`` on any of the fields, each a name or a pattern (``*`` is a wildcard) with its boost.

    The score is that of the best field.
    """

    boosts: tuple[tuple[str, float], ...]
    leaf: Leaf

    def children(self) -> tuple[Query, ...]:
        """None: the leaf has no field of its own."""
        return ()

    def fields(self) -> frozenset[str]:
        """The names and patterns."""
        return frozenset(name for name, _ in self.boosts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Written(Query):
    """A clause that was written in a shorthand: ``meaning`` is the tree, the rest what the client sent.

    ``kind`` is ``query_string`` or ``multi_match``.
    """

    kind: str
    meaning: Query
    settings: dict[str, Any] = field(compare=True, hash=False)
