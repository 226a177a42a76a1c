"""From a parse tree to a test on documents.

Without a mapping the type of a field is that of the document's own value: right for records of a topic, which carry
no mapping, and for the documents of the views, whose types are fixed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache, singledispatch
from typing import Any

from schemas.errors import Refused
from schemas.query.analysis import has_phrase, words
from schemas.query.dates import iso_millis, parse_date
from schemas.query.pattern import compile_regexp, compile_wildcard
from schemas.query.read import required, text_of
from schemas.query.tree import (
    Bool,
    ConstantScore,
    DisMax,
    Exists,
    Ids,
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
from schemas.query.values import all_fields, field_values, number_of, same, values_at

Predicate = Callable[[Mapping[str, Any]], bool]


def compile_query(query: Query, now: int | None = None) -> Predicate:
    """A test that says whether a document matches. ``now`` (epoch ms) is what date math calls now.

    The document's id is looked for under ``_id``. Raises ``Refused`` for patterns and dates that can't be used.

    >>> from schemas.query import parse_query
    >>> hot = compile_query(parse_query({"range": {"cpu": {"gt": 90}}}))
    >>> hot({"cpu": 95}), hot({"cpu": [1, 99]}), hot({})
    (True, True, False)
    """
    return _compile(query, now)


def matches(query: Query, document: Mapping[str, Any], now: int | None = None) -> bool:
    """Whether one document matches; for many documents compile the query once."""
    return compile_query(query, now)(document)


@singledispatch
def _compile(query: Query, now: int | None) -> Predicate:
    raise Refused(400, f"[{type(query).__name__}] query is not supported here", "parsing_exception")


def _any(field: str, test: Callable[[Any], bool]) -> Predicate:
    if "." in field:
        return lambda document: any(test(value) for value in field_values(document, field))

    def direct(document: Mapping[str, Any]) -> bool:
        # Nearly every field of a record is one plain member: worth not to go the long way round.
        value = document.get(field)
        if value is None:
            return False
        if type(value) is list:
            return any(test(one) for one in values_at(document, field))
        return test(value)

    return direct


@_compile.register
def _(query: MatchAll, now: int | None) -> Predicate:
    return lambda document: True


@_compile.register
def _(query: MatchNone, now: int | None) -> Predicate:
    return lambda document: False


@_compile.register
def _(query: Term, now: int | None) -> Predicate:
    text, wanted, folded = text_of(query.value), query.value, query.case_insensitive

    def test(value: Any) -> bool:
        if type(value) is str and not folded:
            return value == text
        return same(value, wanted, case_insensitive=folded)

    return _any(query.field, test)


@_compile.register
def _(query: Terms, now: int | None) -> Predicate:
    texts = {text_of(value) for value in query.values}

    def test(value: Any) -> bool:
        return value in texts if isinstance(value, str) else any(same(value, wanted) for wanted in query.values)

    return _any(query.field, test)


@_compile.register
def _(query: Ids, now: int | None) -> Predicate:
    wanted = frozenset(query.values)

    def test(document: Mapping[str, Any]) -> bool:
        id = document.get("_id")
        return isinstance(id, str) and id in wanted

    return test


@_compile.register
def _(query: Exists, now: int | None) -> Predicate:
    field, inside = query.field, query.field + "."

    def test(document: Mapping[str, Any]) -> bool:
        value = document.get(field)
        if value is not None and not isinstance(value, list | Mapping):
            return True
        if value is None and "." not in field:
            for name in document:
                if name.startswith(inside):
                    break
            else:
                return False
        if any(not isinstance(one, Mapping) for one in field_values(document, field)):
            return True
        return any(path.startswith(inside) for path in all_fields(document))

    return test


@_compile.register
def _(query: Range, now: int | None) -> Predicate:
    return _any(query.field, _RangeTest(query, now))


class _RangeTest:
    """Compares numbers as numbers, dates as dates and other texts as texts, as the document's value has it."""

    def __init__(self, query: Range, now: int | None) -> None:
        self._query = query
        self._numbers = _bounds(query, number_of)
        self._texts = _bounds(query, text_of)
        self._dates = self._date_bounds(query, now)

    @staticmethod
    def _date_bounds(query: Range, now: int | None) -> tuple[Any, Any] | None:
        def date(bound: Scalar | None, round_up: bool) -> int | None:
            if bound is None or isinstance(bound, bool):
                return None
            return parse_date(bound, now=now, form=query.format, round_up=round_up, zone=query.time_zone)

        try:
            return date(query.lower, not query.include_lower), date(query.upper, query.include_upper)
        except Refused:
            if query.format is not None or any(str(bound).startswith("now") for bound in (query.lower, query.upper)):
                raise
            return None

    def __call__(self, value: Any) -> bool:
        if isinstance(value, bool) or value != value:
            return False
        if isinstance(value, int | float):
            dated = self._numbers is None or self._query.format is not None
            bounds = self._dates if dated else self._numbers
            return bounds is not None and self._within(value, bounds)
        if not isinstance(value, str):
            return False
        at = iso_millis(value) if self._dates is not None else None
        if at is not None and self._dates is not None:
            return self._within(at, self._dates)
        return self._texts is not None and self._within(value, self._texts)

    def _within(self, value: Any, bounds: tuple[Any, Any]) -> bool:
        lower, upper = bounds
        if lower is not None and not (value >= lower if self._query.include_lower else value > lower):
            return False
        return upper is None or bool(value <= upper if self._query.include_upper else value < upper)


def _bounds(query: Range, read: Callable[[Any], Any]) -> tuple[Any, Any] | None:
    """Both bounds read the same way; None when one of them can't be."""
    bounds = tuple(None if bound is None else read(bound) for bound in (query.lower, query.upper))
    given = (query.lower, query.upper)
    if any(bound is None and wanted is not None for bound, wanted in zip(bounds, given, strict=True)):
        return None
    return bounds[0], bounds[1]


@_compile.register
def _(query: Prefix, now: int | None) -> Predicate:
    if query.case_insensitive:
        start = query.value.lower()
        return _any(query.field, lambda value: isinstance(value, str) and value.lower().startswith(start))
    return _any(query.field, lambda value: isinstance(value, str) and value.startswith(query.value))


@_compile.register
def _(query: Wildcard, now: int | None) -> Predicate:
    test = compile_wildcard(query.pattern, query.case_insensitive)
    return _any(query.field, lambda value: isinstance(value, str) and test(value))


@_compile.register
def _(query: Regexp, now: int | None) -> Predicate:
    test = compile_regexp(query.pattern, query.case_insensitive)
    return _any(query.field, lambda value: isinstance(value, str) and test(value))


@_compile.register
def _(query: Match, now: int | None) -> Predicate:
    wanted = words(text_of(query.text))
    if not wanted:
        return lambda document: query.zero_terms == "ALL"
    needed = len(wanted) if query.operator == "AND" else 1
    if query.operator == "OR" and query.minimum_should_match is not None:
        needed = max(1, required(query.minimum_should_match, len(wanted)))

    def test(value: Any) -> bool:
        if not isinstance(value, str):
            return same(value, query.text)
        there = set(words(value))
        return sum(word in there for word in wanted) >= needed

    return _any(query.field, test)


@_compile.register
def _(query: MatchPhrase, now: int | None) -> Predicate:
    phrase = words(text_of(query.text))

    def test(value: Any) -> bool:
        if not isinstance(value, str):
            return same(value, query.text)
        return has_phrase(words(value), phrase, query.prefix)

    return _any(query.field, test)


@_compile.register
def _(query: Bool, now: int | None) -> Predicate:
    needed = [_compile(clause, now) for clause in (*query.must, *query.filter)]
    unwanted = [_compile(clause, now) for clause in query.must_not]
    optional = [_compile(clause, now) for clause in query.should]
    if not needed and not optional and unwanted and not query.adjust_pure_negative:
        return lambda document: False
    at_least = 1 if optional and not needed else 0
    if query.minimum_should_match is not None and optional:
        at_least = max(at_least, required(query.minimum_should_match, len(optional)))

    def test(document: Mapping[str, Any]) -> bool:
        for clause in needed:
            if not clause(document):
                return False
        for clause in unwanted:
            if clause(document):
                return False
        return at_least <= 0 or sum(clause(document) for clause in optional) >= at_least

    return test


@_compile.register
def _(query: DisMax, now: int | None) -> Predicate:
    clauses = [_compile(clause, now) for clause in query.queries]
    return lambda document: any(clause(document) for clause in clauses)


@_compile.register
def _(query: ConstantScore, now: int | None) -> Predicate:
    return _compile(query.filter, now)


@_compile.register
def _(query: Nested, now: int | None) -> Predicate:
    inner = _compile(query.query, now)

    def test(document: Mapping[str, Any]) -> bool:
        return any(inner(_within_path(query.path, item)) for item in values_at(document, query.path))

    return test


def _within_path(path: str, item: Any) -> Mapping[str, Any]:
    """A document that holds one nested object alone, where the full paths of the query find it."""
    for part in reversed(path.split(".")):
        item = {part: item}
    return item  # type: ignore[no-any-return]


@_compile.register
def _(query: MultiField, now: int | None) -> Predicate:
    names = [compile_wildcard(pattern) for pattern in query.patterns]

    @lru_cache(1_000)
    def of(field: str) -> Predicate | None:
        named = any(name(field) for name in names)
        return _compile(replace(query.leaf, field=field), now) if named else None

    def test(document: Mapping[str, Any]) -> bool:
        leaves = map(of, all_fields(document))
        return any(leaf(document) for leaf in leaves if leaf is not None)

    return test


@_compile.register
def _(query: Written, now: int | None) -> Predicate:
    return _compile(query.meaning, now)
