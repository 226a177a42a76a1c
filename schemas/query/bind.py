"""Binds a query to field types: every leaf becomes a comparison of values of one type.

Here it is decided what ``"5"`` means for a number, which fields a pattern names, and that the fields of nested objects
are seen by nested queries only. A leaf on a record, which has no mapping, is bound once for each type that the value of
its field may have.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

from schemas.errors import Refused
from schemas.query.analysis import words
from schemas.query.conditions import (
    Anywhere,
    Between,
    ByValue,
    Condition,
    Everything,
    Fits,
    IdOf,
    Inside,
    Not,
    Nothing,
    OneOf,
    Phrase,
    Present,
    Words,
    at_least,
    every,
)
from schemas.query.dates import parse_date
from schemas.query.errors import uncreatable
from schemas.query.fields import RECORDS, Field, FieldType, Types, find_field, nested_path
from schemas.query.pattern import compile_wildcard, literal, wildcard_to_re2
from schemas.query.read import required, text_of
from schemas.query.tree import (
    Bool,
    ConstantScore,
    Exists,
    Ids,
    Leaf,
    Match,
    MatchAll,
    MatchNone,
    MatchPhrase,
    MultiField,
    Nested,
    Prefix,
    Query,
    Range,
    Scalar,
    Term,
    Terms,
    Wildcard,
    Written,
)


def bind(query: Query, types: Types, now: int | None, scope: str = "") -> Condition:
    """What the query asks of documents with these field types. ``now`` (epoch ms) is what date math calls now.

    ``scope`` is the nested path that the query stands in. Raises ``Refused`` (400) when a value can't be one of
    its field's type or a field can't be asked so; a field without a type has no values.
    """
    return _Binder(types, now, scope).bind(query)


@dataclass(frozen=True)
class _Binder:
    types: Types
    now: int | None
    scope: str

    def bind(self, query: Query) -> Condition:
        match query:
            case MatchAll():
                return Everything()
            case MatchNone():
                return Nothing()
            case Ids():
                return self._leaf(Terms(field="_id", values=query.values))
            case Exists():
                return self._exists(query)
            case Leaf():
                return self._leaf(query)
            case MultiField():
                return self._multi_field(query)
            case Written():
                return self.bind(query.meaning)
            case ConstantScore():
                return self.bind(query.filter)
            case Bool():
                return self._bool(query)
            case Nested():
                return self._nested(query)
        raise TypeError(type(query).__name__)

    def _leaf(self, query: Leaf) -> Condition:
        field = find_field(self.types, query.field, self.scope)
        if field is not None:
            return self._by_value(query, field) if field.type == "any" else self._typed(query, field)
        if query.field != "_id" or self.scope:
            return Nothing()
        wanted = self._typed(query, Field("_id", "keyword"))
        return IdOf(frozenset(map(text_of, wanted.values))) if isinstance(wanted, OneOf) else Nothing()

    def _exists(self, query: Exists) -> Condition:
        if self.types is RECORDS:
            field = find_field(RECORDS, query.field, self.scope)
            return Nothing() if field is None else Present(field)
        if query.field in ("_id", "_index", "_source", "_seq_no"):
            return Everything()
        inside = query.field + "."
        named = compile_wildcard(query.field) if "*" in query.field else query.field.__eq__
        names = [name for name in self.types if named(name) or name.startswith(inside)]
        found = {field: None for name in names if (field := find_field(self.types, name, self.scope)) is not None}
        return at_least(1, tuple(Present(field) for field in found))

    def _multi_field(self, query: MultiField) -> Condition:
        parts: dict[Condition, None] = {}
        for pattern, _ in query.boosts:
            if "*" not in pattern:
                parts[self.bind(replace(query.leaf, field=pattern))] = None
            elif self.types is RECORDS:
                any_field = Field("", "any")
                exists = isinstance(query.leaf, Exists)
                part = Present(any_field) if exists else self._by_value(query.leaf, any_field)
                parts[Anywhere(pattern, part)] = None
            else:
                named = compile_wildcard(pattern)
                parts |= dict.fromkeys(self._readable(query.leaf, name) for name in self.types if named(name))
        return at_least(1, tuple(part for part in parts if not isinstance(part, Nothing)))

    def _readable(self, leaf: Leaf, name: str) -> Condition:
        try:
            return self.bind(replace(leaf, field=name))
        except Refused:
            return Nothing()  # a text that is no date can't be in a date field: the other fields count

    def _bool(self, query: Bool) -> Condition:
        needed = [self.bind(clause) for clause in (*query.must, *query.filter)]
        optional = tuple(self.bind(clause) for clause in query.should)
        unwanted = [Not(self.bind(clause)) for clause in query.must_not]
        if unwanted and not needed and not optional and not query.adjust_pure_negative:
            return Nothing()
        count = 1 if optional and not needed else 0
        if query.minimum_should_match is not None and optional:
            count = max(count, required(query.minimum_should_match, len(optional)))
        return every(*needed, at_least(count, optional), *unwanted)

    def _nested(self, query: Nested) -> Condition:
        if self.types is not RECORDS and (type_ := self.types.get(query.path)) != "nested":
            if query.ignore_unmapped:
                return Nothing()
            why = "failed to find nested object" if type_ is None else "nested object"
            end = "" if type_ is None else " is not of nested type"
            raise uncreatable(f"[nested] {why} under path [{query.path}]{end}")
        inner = bind(query.query, self.types, self.now, query.path)
        if self.types is RECORDS:
            field = find_field(RECORDS, query.path, self.scope)
            return Nothing() if field is None else Inside(field, inner)
        steps = [query.path]
        while (above := nested_path(self.types, steps[0])) != self.scope:
            if not above:
                return Nothing()
            steps.insert(0, above)
        for path in reversed(steps):
            inner = Inside(Field(path, "nested", nested_path(self.types, path)), inner)
        return inner

    def _by_value(self, query: Leaf, field: Field) -> Condition:
        def part(type_: FieldType) -> Condition:
            try:
                return self._typed(query, replace(field, type=type_))
            except Refused:
                return Nothing()

        if not isinstance(query, Range):
            return ByValue(field, part("keyword"), part("double"), part("boolean"))
        dates, numbers = self._dates(query, field), part("double")
        if dates is not None and (query.format is not None or isinstance(numbers, Nothing)):
            numbers = replace(dates, field=replace(field, type="double"))
        return ByValue(field, part("keyword"), numbers, Nothing(), dates)

    def _dates(self, query: Range, field: Field) -> Between | None:
        try:
            return self._between(query, replace(field, type="date"))
        except Refused:
            if query.format is not None or any(str(bound).startswith("now") for bound in (query.lower, query.upper)):
                raise
            return None

    def _typed(self, query: Leaf, field: Field) -> Condition:
        """A leaf on a field of one type."""
        match query:
            case Term():
                return self._one_of(field, (query.value,), query.case_insensitive)
            case Terms():
                return self._one_of(field, query.values)
            case Range():
                return self._between(query, field)
            case Prefix():
                return self._fits("prefix", field, literal(query.value) + ".*", query.case_insensitive)
            case Wildcard():
                return self._fits("wildcard", field, wildcard_to_re2(query.pattern), query.case_insensitive)
            case MatchPhrase(prefix=True) if field.type == "keyword":
                return Fits(field, literal(text_of(query.text)) + ".*")
            case Match() | MatchPhrase() if field.type != "text":
                try:
                    return self._one_of(field, (query.text,))
                except Refused:
                    if query.lenient:
                        return Nothing()
                    raise
            case Match():
                return self._words(query, field)
            case MatchPhrase():
                phrase = tuple(words(text_of(query.text)))
                return Phrase(field, phrase, query.prefix) if phrase else Nothing()
        raise TypeError(type(query).__name__)

    def _one_of(self, field: Field, wanted: tuple[Scalar, ...], folded: bool = False) -> Condition:
        if not wanted:
            return Nothing()
        if field.type == "text":
            return Words(field, tuple(text_of(one).lower() if folded else text_of(one) for one in wanted), 1)
        if field.type == "date":
            days = (Between(field, self._date(one), self._date(one, round_up=True)) for one in wanted)
            return at_least(1, tuple(days))
        values = frozenset(typed(field.type, one) for one in wanted)
        folded = folded and field.type == "keyword"
        return OneOf(field, frozenset(str(one).lower() for one in values) if folded else values, folded)

    def _words(self, query: Match, field: Field) -> Condition:
        wanted = tuple(words(text_of(query.text)))
        if not wanted:
            return Everything() if query.zero_terms == "ALL" else Nothing()
        needed = len(wanted) if query.operator == "AND" else 1
        if query.operator == "OR" and query.minimum_should_match is not None:
            needed = max(1, required(query.minimum_should_match, len(wanted)))
        return Words(field, wanted, needed)

    def _date(self, value: Scalar, **settings: Any) -> int:
        if isinstance(value, bool):
            raise Refused(400, f"failed to parse date field [{text_of(value)}]", "parse_exception")
        return parse_date(value, now=self.now, **settings)

    def _between(self, query: Range, field: Field) -> Between:
        def read(bound: Scalar | None, round_up: bool) -> Scalar | None:
            if bound is None or field.type != "date":
                return None if bound is None else typed(field.type, bound)
            return self._date(bound, round_up=round_up, form=query.format, zone=query.time_zone)

        lower, upper = read(query.lower, not query.include_lower), read(query.upper, query.include_upper)
        return Between(field, lower, upper, query.include_lower, query.include_upper)

    def _fits(self, clause: str, field: Field, expression: str, folded: bool) -> Condition:
        if field.type not in ("keyword", "text"):
            raise uncreatable(
                f"Can only use {clause} queries on keyword, text and wildcard fields - not on [{field.path}] "
                f"which is of type [{field.type}]"
            )
        return Fits(field, expression, folded)


def typed(type_: FieldType, value: Scalar) -> Scalar:
    """A value of a query as one of the field's type. Raises ``Refused`` when it can't be.

    >>> typed("long", "5"), typed("boolean", "true"), typed("keyword", 1.5)
    (5, True, '1.5')
    """
    if type_ in ("keyword", "text"):
        return text_of(value)
    if type_ == "boolean":
        text = text_of(value)
        if text not in ("true", "false", ""):
            raise uncreatable(f"Can't parse boolean value [{text}], expected [true] or [false]")
        return text == "true"
    if isinstance(value, bool):
        raise uncreatable(f'For input string: "{text_of(value)}"')
    try:
        number = int(value) if isinstance(value, int) or (isinstance(value, str) and _is_whole(value)) else float(value)
    except (ValueError, OverflowError):
        raise uncreatable(f'For input string: "{value}"') from None
    if isinstance(number, float) and not math.isfinite(number):
        raise uncreatable(f"[{type_}] supports only finite values, but got [{value}]")
    if abs(number) > 1.7e308:
        raise uncreatable(f"Value [{str(value)[:20]}...] is out of range for a {type_}")
    return number


def _is_whole(text: str) -> bool:
    return len(text) <= 30 and text.lstrip("-").isascii() and text.removeprefix("-").isdigit()
