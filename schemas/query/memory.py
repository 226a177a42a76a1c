"""The back end in memory: a bound query as a test of many documents or records at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from schemas.query.analysis import has_phrase, words
from schemas.query.conditions import (
    Anywhere,
    AtLeast,
    Between,
    ByValue,
    Condition,
    Every,
    Everything,
    Fits,
    IdOf,
    Inside,
    Not,
    Nothing,
    OneOf,
    OnField,
    Phrase,
    Present,
    Words,
)
from schemas.query.dates import iso_millis
from schemas.query.fields import Field, FieldType
from schemas.query.pattern import compile_expression, compile_wildcard
from schemas.query.read import text_of
from schemas.query.values import field_values, leaves, one_or_list, values_at

BoolArray = npt.NDArray[np.bool_]
ValueTest = Callable[[Any], bool]


class Rows(Protocol):
    """Documents, records or nested objects, to be tested together."""

    def __len__(self) -> int:
        """How many there are."""

    def ids(self) -> Iterable[str]:
        """Their ids."""

    def values(self, field: Field) -> Sequence[Any]:
        """What each has in a field: None for nothing, a value, or a list where there are several."""

    def present(self, field: Field) -> BoolArray:
        """Which of them have a value in a field or, where it is an object, below it."""

    def objects(self, field: Field) -> tuple[Rows, Sequence[int]]:
        """The objects of a nested field, and to which of the rows each belongs."""

    def leaves(self) -> Iterable[Iterable[tuple[str, Any]]]:
        """All values of each, with their paths."""


Test = Callable[[Rows], BoolArray]


class Documents:
    """Rows that are whole: mappings as JSON gives them, with their ids if they have any."""

    def __init__(self, documents: Sequence[Any], ids: Sequence[str] = ()) -> None:
        self._documents, self._ids = documents, ids

    def __len__(self) -> int:
        return len(self._documents)

    def ids(self) -> Iterable[str]:
        """Their ids."""
        return self._ids

    def values(self, field: Field) -> Sequence[Any]:
        """What each has in a field."""
        path = field.within
        if "." in path:
            return [one_or_list(field_values(document, path)) for document in self._documents]
        # Nearly every field is one plain member: worth not to go the long way round.
        found = [document.get(path) for document in self._documents]
        return found if list not in set(map(type, found)) else [_flat(value) for value in found]

    def present(self, field: Field) -> BoolArray:
        """Which of them have a value in a field."""
        if field.type == "any":
            return np.fromiter((_has(document, field.within) for document in self._documents), bool, len(self))
        return np.fromiter(map(bool, map(getter(field), self._documents)), bool, len(self))

    def objects(self, field: Field) -> tuple[Documents, Sequence[int]]:
        """The objects of a nested field."""
        found = [(inner, at) for at, each in enumerate(map(objects(field), self._documents)) for inner in each]
        ids = list(self._ids)
        owners = [at for _, at in found]
        return Documents([inner for inner, _ in found], [ids[at] for at in owners] if ids else ()), owners

    def leaves(self) -> Iterable[Iterable[tuple[str, Any]]]:
        """All values of each."""
        return map(leaves, self._documents)


def getter(field: Field) -> Callable[[Any], list[Any]]:
    """All values of a field in an object of the field's scope, brought to the field's type; odd ones left out."""
    path, convert = field.within, _CONVERTERS[field.type]

    def values(document: Any) -> list[Any]:
        if "." not in path:
            value = document.get(path)
            if type(value) is not list:
                return [] if value is None or (value := convert(value)) is None else [value]
        return [value for value in map(convert, field_values(document, path)) if value is not None]

    return values


def objects(field: Field) -> Callable[[Any], list[Any]]:
    """All objects of a nested field in an object of the field's scope."""
    return lambda document: [value for value in values_at(document, field.within) if isinstance(value, Mapping)]


def holds_value(value: Any) -> bool:
    """Whether a value counts as one: not where it is null, or an array or object in which there is nothing else.

    >>> holds_value(0), holds_value({"a": [None]}), holds_value([])
    (True, False, False)
    """
    kind = type(value)
    return any(True for _ in leaves(value)) if kind is dict or kind is list else value is not None


def _has(document: Any, path: str) -> bool:
    if any(map(holds_value, field_values(document, path))):
        return True
    inside = path + "."
    if "." not in path and not any(name.startswith(inside) for name in document):
        return False
    return any(found.startswith(inside) for found, _ in leaves(document))


def _flat(value: Any) -> Any:
    return one_or_list(list(values_at({"": value}, ""))) if type(value) is list else value


def _text(value: Any) -> str | None:
    return value if type(value) is str else text_of(value) if isinstance(value, str | int | float | bool) else None


def _number(value: Any) -> int | float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _date(value: Any) -> int | None:
    if isinstance(value, str):
        return iso_millis(value)
    number = _number(value)
    return None if number is None else int(number)


def _boolean(value: Any) -> bool | None:
    return value if isinstance(value, bool) else {"true": True, "false": False}.get(value)


_CONVERTERS: dict[FieldType, Callable[[Any], Any]] = {
    "keyword": _text,
    "text": _text,
    "long": _number,
    "double": _number,
    "date": _date,
    "boolean": _boolean,
    "object": lambda value: None,
    "nested": lambda value: None,
    "any": lambda value: value,
}


def compile_condition(condition: Condition) -> Test:
    """A test of many rows at once.

    >>> from schemas.query import RECORDS, bind, parse_query
    >>> hot = compile_condition(bind(parse_query({"range": {"cpu": {"gt": 90}}}), RECORDS, None))
    >>> hot(Documents([{"cpu": 95}, {}, {"cpu": 10.5}, {"cpu": [1, 99]}])).tolist()
    [True, False, False, True]
    """
    match condition:
        case Everything():
            return lambda rows: np.ones(len(rows), bool)
        case Nothing():
            return lambda rows: np.zeros(len(rows), bool)
        case IdOf(ids):
            return lambda rows: np.fromiter((id in ids for id in rows.ids()), bool, len(rows))
        case Present(field):
            return lambda rows: rows.present(field)
        case OnField():
            return _FieldTest(condition)
        case Anywhere(pattern, part):
            return _anywhere(compile_wildcard(pattern), _value_test(part))
        case Every(parts):
            return _every([compile_condition(part) for part in parts])
        case AtLeast(needed, parts):
            tests = [compile_condition(part) for part in parts]
            return lambda rows: sum((test(rows) for test in tests), np.zeros(len(rows), np.int64)) >= needed
        case Not(part):
            wanted = compile_condition(part)
            return lambda rows: ~wanted(rows)
        case Inside(field, part):
            return _inside(field, compile_condition(part))
    raise TypeError(type(condition).__name__)


def _anywhere(named: Callable[[str], bool], test: ValueTest) -> Test:
    def anywhere(rows: Rows) -> BoolArray:
        found = (any(test(value) and named(path) for path, value in each) for each in rows.leaves())
        return np.fromiter(found, bool, len(rows))

    return anywhere


def _every(tests: Sequence[Test]) -> Test:
    def every(rows: Rows) -> BoolArray:
        found = tests[0](rows)
        for test in tests[1:]:
            if not found.any():
                break
            found &= test(rows)
        return found

    return every


def _inside(field: Field, test: Test) -> Test:
    def inside(rows: Rows) -> BoolArray:
        inner, owners = rows.objects(field)
        found = np.zeros(len(rows), bool)
        if owners:
            found[np.array(owners)[test(inner)]] = True
        return found

    return inside


_REMEMBERED = 65_536
_LONGEST = 1_000
"""Characters: so many texts of any length would be more than fits into memory."""

_EXACT = 2**53
"""Whole numbers below are the same as doubles."""

_NUMBERS: frozenset[type] = frozenset((int, float, type(None)))
_TEXTS: frozenset[type] = frozenset((str, type(None)))


class _FieldTest:
    """One condition on one field. Each different text is judged once; numbers are compared all together."""

    def __init__(self, condition: OnField) -> None:
        self._field = condition.field
        self._test = _value_test(condition)
        self._texts = _Remembered(self._test)
        numbers = condition.numbers if isinstance(condition, ByValue) else condition
        self._bounds = numbers if isinstance(numbers, Between) and _numeric(numbers) else None

    def __call__(self, rows: Rows) -> BoolArray:
        values = rows.values(self._field)
        types = set(map(type, values))
        if types <= _TEXTS:
            return np.fromiter(map(self._texts.__getitem__, values), bool, len(values))
        if self._bounds is not None and types <= _NUMBERS:
            numbers = _exact(values, whole=int in types)
            if numbers is not None:
                return _within(numbers, self._bounds)
        test = self._test
        found = (
            any(map(test, values_at({"": value}, ""))) if type(value) is list else value is not None and test(value)
            for value in values
        )
        return np.fromiter(found, bool, len(values))


class _Remembered(dict[str | None, bool]):
    def __init__(self, test: ValueTest) -> None:
        super().__init__()
        self._test = test

    def __missing__(self, value: str | None) -> bool:
        found = value is not None and self._test(value)
        if value is None or len(value) <= _LONGEST:
            if len(self) >= _REMEMBERED:
                self.clear()
            self[value] = found
        return found


def _exact(values: Sequence[Any], *, whole: bool) -> npt.NDArray[np.float64] | None:
    """Numbers as doubles, None for NaN; None where a whole number has more digits than a double holds."""
    try:
        numbers = np.array(values, np.float64)
    except OverflowError:
        return None
    if whole and not (np.abs(numbers, where=~np.isnan(numbers), out=np.zeros(len(values))) < _EXACT).all():
        return None
    return numbers


def _numeric(condition: Between) -> bool:
    bounds = [bound for bound in (condition.lower, condition.upper) if bound is not None]
    return condition.field.type in ("long", "double", "date") and all(abs(float(bound)) < _EXACT for bound in bounds)


def _within(numbers: npt.NDArray[np.float64], condition: Between) -> BoolArray:
    found = ~np.isnan(numbers)
    if condition.lower is not None:
        lower = float(condition.lower)
        found &= numbers >= lower if condition.include_lower else numbers > lower
    if condition.upper is not None:
        upper = float(condition.upper)
        found &= numbers <= upper if condition.include_upper else numbers < upper
    return found


def _value_test(condition: Condition) -> ValueTest:
    """A test of one value, as it stands in a document."""
    match condition:
        case Nothing():
            return lambda value: False
        case Present():
            return holds_value
        case OneOf(_, values, folded):
            return _typed(condition, (lambda value: value.lower() in values) if folded else values.__contains__)
        case Between():
            return _typed(condition, _between(condition))
        case Fits(_, expression, folded):
            return _typed(condition, compile_expression(expression, folded))
        case Words(_, wanted, needed):
            return _converted(condition, _has_words(wanted, needed))
        case Phrase(_, phrase, prefix):
            return _converted(condition, lambda text: has_phrase(words(text), list(phrase), prefix))
        case ByValue():
            return _by_value(condition)
    raise TypeError(type(condition).__name__)


def _has_words(wanted: Sequence[str], needed: int) -> ValueTest:
    def test(text: str) -> bool:
        there = set(words(text))
        return sum(word in there for word in wanted) >= needed

    return test


def _between(condition: Between) -> ValueTest:
    lower: Any = condition.lower
    upper: Any = condition.upper
    include_lower, include_upper = condition.include_lower, condition.include_upper

    def test(value: Any) -> bool:
        if lower is not None and not (value >= lower if include_lower else value > lower):
            return False
        if upper is not None and not (value <= upper if include_upper else value < upper):
            return False
        return bool(value == value)

    return test


def _by_value(condition: ByValue) -> ValueTest:
    texts, numbers, booleans = map(_value_test, (condition.texts, condition.numbers, condition.booleans))
    dates = None if condition.dates is None else _value_test(condition.dates)

    def test(value: Any) -> bool:
        kind = type(value)
        if kind is str:
            return dates(value) if dates is not None and iso_millis(value) is not None else texts(value)
        if kind is bool:
            return booleans(value)
        return numbers(value) if kind is int or kind is float else False

    return test


def _typed(condition: OnField, test: ValueTest) -> ValueTest:
    """The test on what a value is as one of the field's type, on each word of a text."""
    return _converted(condition, (lambda text: any(map(test, words(text)))) if condition.field.type == "text" else test)


def _converted(condition: OnField, test: ValueTest) -> ValueTest:
    convert = _CONVERTERS[condition.field.type]
    return lambda value: (value := convert(value)) is not None and test(value)
