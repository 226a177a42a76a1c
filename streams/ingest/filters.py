"""Filter queries over many points at once: value lists instead of documents, each different text judged once."""

from __future__ import annotations

from collections.abc import Callable
from functools import singledispatch
from typing import Any

import numpy as np
import numpy.typing as npt

from schemas.query import MatchAll, Predicate, Query, compile_query
from schemas.query.read import required
from schemas.query.tree import Bool, ConstantScore, DisMax, Leaf, MatchNone, Range, Written

BoolArray = npt.NDArray[np.bool_]
Column = Callable[[str], list[Any]]
"""The values of a path, one a point: None for nothing, a list where there are several."""

Test = Callable[[Column, int], BoolArray]

_REMEMBERED = 65_536
_LONGEST = 1_000
"""Characters: so many texts of any length would be more than fits into memory."""

_EXACT = 2**53
"""Whole numbers below are the same as doubles."""

_NUMBERS: frozenset[type] = frozenset((int, float, type(None)))
_TEXTS: frozenset[type] = frozenset((str, type(None)))


def compile_filter(query: Query) -> Test | None:
    """A test of many points; None for a query that has to see whole documents.

    >>> from schemas.query import parse_query
    >>> hot = compile_filter(parse_query({"range": {"cpu": {"gt": 90}}}))
    >>> hot(lambda path: [95, None, 10.5, [1, 99]], 4)
    array([ True, False, False,  True])
    """
    return _compile(query)


@singledispatch
def _compile(query: Query) -> Test | None:
    return None


@_compile.register
def _(query: MatchAll) -> Test | None:
    return lambda column, size: np.ones(size, bool)


@_compile.register
def _(query: MatchNone) -> Test | None:
    return lambda column, size: np.zeros(size, bool)


@_compile.register
def _(query: ConstantScore) -> Test | None:
    return _compile(query.filter)


@_compile.register
def _(query: Written) -> Test | None:
    return _compile(query.meaning)


@_compile.register
def _(query: DisMax) -> Test | None:
    return _at_least(query.queries, 1)


@_compile.register
def _(query: Bool) -> Test | None:
    needed = [_compile(clause) for clause in (*query.must, *query.filter)]
    unwanted = [_compile(clause) for clause in query.must_not]
    at_least = 0 if needed else min(1, len(query.should))
    if query.minimum_should_match is not None:
        at_least = required(query.minimum_should_match, len(query.should))
    optional = _at_least(query.should, at_least)
    if optional is None or None in needed or None in unwanted:
        return None

    def test(column: Column, size: int) -> BoolArray:
        found = optional(column, size)
        for clause in needed:
            found &= clause(column, size)  # type: ignore[misc]
        for clause in unwanted:
            found &= ~clause(column, size)  # type: ignore[misc]
        return found

    return test


def _at_least(queries: tuple[Query, ...], count: int) -> Test | None:
    clauses = [clause for query in queries if (clause := _compile(query)) is not None]
    if len(clauses) < len(queries):
        return None
    if count <= 0:
        return lambda column, size: np.ones(size, bool)

    def test(column: Column, size: int) -> BoolArray:
        total = np.zeros(size, np.int64)
        for clause in clauses:
            total += clause(column, size)
        return total >= count

    return test


@_compile.register
def _(query: Leaf) -> Test | None:
    return _LeafTest(query)


class _LeafTest:
    """One clause on one field."""

    def __init__(self, query: Leaf) -> None:
        self._path = query.field
        self._matches = compile_query(query)
        self._texts = _Remembered(self._path, self._matches)
        self._bounds = query if isinstance(query, Range) and _numeric(query) else None

    def __call__(self, column: Column, size: int) -> BoolArray:
        values = column(self._path)
        types = set(map(type, values))
        if types <= _TEXTS:
            return np.fromiter(map(self._texts.__getitem__, values), bool, size)
        if self._bounds is not None and types <= _NUMBERS:
            numbers = _exact(values, whole=int in types)
            if numbers is not None:
                return _within(numbers, self._bounds)
        path, matches = self._path, self._matches
        return np.fromiter((matches({} if value is None else {path: value}) for value in values), bool, size)


def _exact(values: list[Any], *, whole: bool) -> npt.NDArray[np.float64] | None:
    """Numbers as doubles, None for NaN; None where a whole number has more digits than a double holds."""
    try:
        numbers = np.array(values, np.float64)
    except OverflowError:
        return None
    if whole and not (np.abs(numbers, where=~np.isnan(numbers), out=np.zeros(len(values))) < _EXACT).all():
        return None
    return numbers


class _Remembered(dict[str | None, bool]):
    def __init__(self, path: str, matches: Predicate) -> None:
        super().__init__()
        self._path = path
        self._matches = matches

    def __missing__(self, value: str | None) -> bool:
        found = self._matches({} if value is None else {self._path: value})
        if value is None or len(value) <= _LONGEST:
            if len(self) >= _REMEMBERED:
                self.clear()
            self[value] = found
        return found


def _numeric(query: Range) -> bool:
    bounds = [bound for bound in (query.lower, query.upper) if bound is not None]
    return query.format is None and all(
        isinstance(bound, int | float) and not isinstance(bound, bool) and abs(bound) < _EXACT for bound in bounds
    )


def _within(numbers: npt.NDArray[np.float64], query: Range) -> BoolArray:
    # NaN, which stands for no value, is within no bounds, but no bound excludes it.
    found = ~np.isnan(numbers)
    if query.lower is not None:
        lower = float(query.lower)
        found &= numbers >= lower if query.include_lower else numbers > lower
    if query.upper is not None:
        upper = float(query.upper)
        found &= numbers <= upper if query.include_upper else numbers < upper
    return found
