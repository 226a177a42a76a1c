"""Binds a query to field types: every leaf becomes a comparison of values of one type.

Here it is decided what ``"5"`` means for a number, which field a pattern names, and that the fields of nested
objects are seen by nested queries only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import singledispatchmethod
from typing import cast

from api.search.conditions import (
    AtLeast,
    Between,
    Condition,
    Everything,
    Field,
    Fitting,
    IdOf,
    Inside,
    Not,
    Nothing,
    OneOf,
    Phrase,
    Prefixed,
    Present,
    Value,
    Wild,
    Words,
    at_least,
    every,
)
from api.search.mappings import FieldType, Types, nested_path, stored_path
from schemas.errors import Refused
from schemas.query.analysis import words
from schemas.query.dates import parse_date
from schemas.query.errors import uncreatable
from schemas.query.pattern import compile_wildcard
from schemas.query.read import required, text_of
from schemas.query.tree import (
    Bool,
    ConstantScore,
    DisMax,
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
    Regexp,
    Scalar,
    Term,
    Terms,
    Wildcard,
    Written,
)


def bind(query: Query, types: Types, now: int, scope: str = "") -> Condition:
    """What the query asks of documents with these field types. ``now`` (epoch ms) is what date math calls now.

    ``scope`` is the nested path that the query stands in. Raises ``Refused`` (400) when a value can't be one of
    its field's type or a field can't be asked so; a field without a type has no values.
    """
    return _Binder(types, now, scope).bind(query)


@dataclass(frozen=True)
class _Binder:
    types: Types
    now: int
    scope: str

    def _field(self, name: str) -> Field | None:
        type_ = self.types.get(name)
        if type_ is None or type_ in ("object", "nested") or nested_path(self.types, name) != self.scope:
            return None
        return Field(stored_path(self.types, name), type_, self.scope)

    @singledispatchmethod
    def bind(self, query: Query) -> Condition:
        raise Refused(400, f"[{type(query).__name__}] query is not supported here", "parsing_exception")

    @bind.register
    def _(self, query: MatchAll) -> Condition:
        return Everything()

    @bind.register
    def _(self, query: MatchNone) -> Condition:
        return Nothing()

    @bind.register
    def _(self, query: Ids) -> Condition:
        return IdOf(frozenset(query.values)) if not self.scope else Nothing()

    @bind.register
    def _(self, query: Term) -> Condition:
        return self._one_of(query.field, (query.value,), query.case_insensitive)

    @bind.register
    def _(self, query: Terms) -> Condition:
        return self._one_of(query.field, query.values, False)

    def _one_of(self, name: str, wanted: tuple[Scalar, ...], folded: bool) -> Condition:
        if name == "_id":
            return IdOf(frozenset(map(text_of, wanted)))
        field = self._field(name)
        if field is None or not wanted:
            return Nothing()
        if field.type == "text":
            return Words(field, tuple(text_of(one).lower() if folded else text_of(one) for one in wanted), 1)
        if field.type == "date":
            days = (
                Between(field, self._date(one), self._date(one, round_up=True)) for one in wanted if one is not None
            )
            return at_least(1, tuple(days))
        values = frozenset(typed(field.type, one) for one in wanted)
        folded = folded and field.type == "keyword"
        return OneOf(field, frozenset(str(one).lower() for one in values) if folded else values, folded)

    def _date(self, value: Scalar, *, round_up: bool = False, form: str | None = None, zone: str | None = None) -> int:
        if isinstance(value, bool):
            raise Refused(400, f"failed to parse date field [{text_of(value)}]", "parse_exception")
        return parse_date(value, now=self.now, form=form, round_up=round_up, zone=zone)

    @bind.register
    def _(self, query: Range) -> Condition:
        field = self._field(query.field)
        if query.field == "_id" or field is None:
            return Nothing()
        lower, upper = query.lower, query.upper
        if field.type == "date":
            settings = {"form": query.format, "zone": query.time_zone}
            bounds = (
                None if lower is None else self._date(lower, round_up=not query.include_lower, **settings),
                None if upper is None else self._date(upper, round_up=query.include_upper, **settings),
            )
        else:
            low, high = (None if bound is None else typed(field.type, bound) for bound in (lower, upper))
            bounds = cast("tuple[int | None, int | None]", (low, high))
        if bounds == (None, None):
            return Present(field)
        return Between(field, *bounds, query.include_lower, query.include_upper)

    @bind.register
    def _(self, query: Exists) -> Condition:
        if query.field in ("_id", "_index", "_source", "_seq_no"):
            return Everything()
        inside = query.field + "."
        test = compile_wildcard(query.field) if "*" in query.field else query.field.__eq__
        names = [name for name in self.types if test(name) or name.startswith(inside)]
        found = {field: None for field in map(self._field, names) if field is not None}
        return at_least(1, tuple(Present(field) for field in found))

    @bind.register
    def _(self, query: Prefix) -> Condition:
        field = self._text_field(query, "prefix")
        return Nothing() if field is None else Prefixed(field, query.value, query.case_insensitive)

    @bind.register
    def _(self, query: Wildcard) -> Condition:
        field = self._text_field(query, "wildcard")
        return Nothing() if field is None else Wild(field, query.pattern, query.case_insensitive)

    @bind.register
    def _(self, query: Regexp) -> Condition:
        field = self._text_field(query, "regexp")
        return Nothing() if field is None else Fitting(field, query.pattern, query.case_insensitive)

    def _text_field(self, query: Leaf, clause: str) -> Field | None:
        field = self._field(query.field)
        if field is not None and field.type not in ("keyword", "text"):
            raise uncreatable(
                f"Can only use {clause} queries on keyword, text and wildcard fields - not on [{query.field}] "
                f"which is of type [{field.type}]"
            )
        return field

    @bind.register
    def _(self, query: Match) -> Condition:
        field = self._field(query.field)
        if query.field != "_id" and (field is None or field.type != "text"):
            return self._lenient(query, Term(field=query.field, value=query.text))
        wanted = tuple(words(text_of(query.text)))
        if field is None:
            return IdOf(frozenset((text_of(query.text),)))
        if not wanted:
            return Everything() if query.zero_terms == "ALL" else Nothing()
        needed = len(wanted) if query.operator == "AND" else 1
        if query.operator == "OR" and query.minimum_should_match is not None:
            needed = max(1, required(query.minimum_should_match, len(wanted)))
        return Words(field, wanted, needed)

    @bind.register
    def _(self, query: MatchPhrase) -> Condition:
        field = self._field(query.field)
        if field is None or field.type != "text":
            if field is not None and field.type == "keyword" and query.prefix:
                return Prefixed(field, text_of(query.text), False)
            return self._lenient(query, Term(field=query.field, value=query.text))
        phrase = tuple(words(text_of(query.text)))
        return Phrase(field, phrase, query.prefix) if phrase else Nothing()

    def _lenient(self, query: Match | MatchPhrase, term: Term) -> Condition:
        try:
            return self.bind(term)
        except Refused:
            if query.lenient:
                return Nothing()
            raise

    @bind.register
    def _(self, query: MultiField) -> Condition:
        tests = [compile_wildcard(pattern) for pattern in query.patterns]
        parts: list[Condition] = []
        for name in self.types:
            if self._field(name) is None or not any(test(name) for test in tests):
                continue
            try:
                part = self.bind(replace(query.leaf, field=name))
            except Refused:
                continue  # a text that is no date can't be in a date field: the other fields count
            if part not in parts and not isinstance(part, Nothing):
                parts.append(part)
        return at_least(1, tuple(parts))

    @bind.register
    def _(self, query: Written) -> Condition:
        return self.bind(query.meaning)

    @bind.register
    def _(self, query: ConstantScore) -> Condition:
        return self.bind(query.filter)

    @bind.register
    def _(self, query: DisMax) -> Condition:
        return at_least(1, tuple(self.bind(one) for one in query.queries))

    @bind.register
    def _(self, query: Bool) -> Condition:
        needed = [self.bind(clause) for clause in (*query.must, *query.filter)]
        optional = tuple(self.bind(clause) for clause in query.should)
        unwanted = [Not(self.bind(clause)) for clause in query.must_not]
        if not query.children():
            return Everything()
        if not needed and not optional and not query.adjust_pure_negative:
            return Nothing()
        count = 1 if optional and not needed else 0
        if query.minimum_should_match is not None and optional:
            count = max(count, required(query.minimum_should_match, len(optional)))
        return every(*needed, at_least(count, optional), *unwanted)

    @bind.register
    def _(self, query: Nested) -> Condition:
        type_ = self.types.get(query.path)
        if type_ != "nested":
            if query.ignore_unmapped:
                return Nothing()
            why = "failed to find nested object" if type_ is None else "nested object"
            end = "" if type_ is None else " is not of nested type"
            raise uncreatable(f"[nested] {why} under path [{query.path}]{end}")
        inner = _Binder(self.types, self.now, query.path).bind(query.query)
        steps = [query.path]
        while (above := nested_path(self.types, steps[0])) != self.scope:
            if not above:
                return Nothing()
            steps.insert(0, above)
        for path in reversed(steps):
            inner = Inside(Field(path, "nested", nested_path(self.types, path)), inner)
        return inner


def typed(type_: FieldType, value: Scalar) -> Value:
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


__all__ = ["AtLeast", "bind", "typed"]
