"""The first target of a bound query: a function on documents in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import singledispatch
from typing import Any

from api.search.conditions import (
    AtLeast,
    Between,
    Condition,
    Every,
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
    Wild,
    Words,
)
from api.search.mappings import FieldType
from schemas.query.analysis import has_phrase, words
from schemas.query.dates import iso_millis
from schemas.query.pattern import compile_regexp, compile_wildcard
from schemas.query.read import text_of

Test = Callable[[Any, str], bool]
"""Takes a document (or nested object) and the document's id."""

Values = Callable[[Any], list[Any]]


def compile_condition(condition: Condition) -> Test:
    """A test for documents, given as mappings, with their ids."""
    return _compile(condition)


def getter(field: Field) -> Values:
    """All values of a field in an object of the field's scope, brought to the field's type; odd ones left out."""
    raw, convert = _raw(field.within), _CONVERTERS[field.type]

    def values(document: Any) -> list[Any]:
        return [value for value in map(convert, raw(document)) if value is not None]

    return values


def objects(field: Field) -> Values:
    """All objects of a nested field in an object of the field's scope."""
    raw = _raw(field.within)
    return lambda document: [value for value in raw(document) if isinstance(value, Mapping)]


def _raw(path: str) -> Callable[[Any], list[Any]]:
    if "." not in path:

        def direct(document: Any) -> list[Any]:
            value = document.get(path)
            if value is None:
                return []
            return [one for one in value if one is not None] if type(value) is list else [value]

        return direct
    steps = tuple(path.split("."))
    return lambda document: list(_walk(document, steps, 0))


def _walk(value: Any, steps: tuple[str, ...], at: int) -> Iterator[Any]:
    if isinstance(value, list):
        for one in value:
            yield from _walk(one, steps, at)
    elif at == len(steps):
        if value is not None:
            yield value
    elif isinstance(value, Mapping):
        yield from _walk(value.get(steps[at]), steps, at + 1)


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


def _none(value: Any) -> None:
    return None


_CONVERTERS: dict[FieldType, Callable[[Any], Any]] = {
    "keyword": _text,
    "text": _text,
    "long": _number,
    "double": _number,
    "date": _date,
    "boolean": _boolean,
    "object": _none,
    "nested": _none,
}


@singledispatch
def _compile(condition: Condition) -> Test:
    raise TypeError(type(condition).__name__)


@_compile.register
def _(condition: Everything) -> Test:
    return lambda document, id: True


@_compile.register
def _(condition: Nothing) -> Test:
    return lambda document, id: False


@_compile.register
def _(condition: IdOf) -> Test:
    ids = condition.ids
    return lambda document, id: id in ids


def _any(field: Field, test: Callable[[Any], bool]) -> Test:
    values = getter(field)
    return lambda document, id: any(map(test, values(document)))


def _any_word(field: Field, test: Callable[[str], bool]) -> Test:
    if field.type != "text":
        return _any(field, test)
    return _any(field, lambda text: any(map(test, words(text))))


@_compile.register
def _(condition: OneOf) -> Test:
    wanted = condition.values
    if condition.folded:
        return _any(condition.field, lambda value: value.lower() in wanted)
    return _any(condition.field, wanted.__contains__)


@_compile.register
def _(condition: Between) -> Test:
    lower: Any = condition.lower
    upper: Any = condition.upper
    include_lower, include_upper = condition.include_lower, condition.include_upper

    def test(value: Any) -> bool:
        if lower is not None and not (value >= lower if include_lower else value > lower):
            return False
        return upper is None or bool(value <= upper if include_upper else value < upper)

    return _any_word(condition.field, test)


@_compile.register
def _(condition: Present) -> Test:
    values = getter(condition.field)
    return lambda document, id: bool(values(document))


@_compile.register
def _(condition: Prefixed) -> Test:
    if condition.folded:
        start = condition.start.lower()
        return _any_word(condition.field, lambda value: value.lower().startswith(start))
    return _any_word(condition.field, lambda value: value.startswith(condition.start))


@_compile.register
def _(condition: Wild) -> Test:
    return _any_word(condition.field, compile_wildcard(condition.pattern, condition.folded))


@_compile.register
def _(condition: Fitting) -> Test:
    return _any_word(condition.field, compile_regexp(condition.pattern, condition.folded))


@_compile.register
def _(condition: Words) -> Test:
    wanted, needed = condition.words, condition.needed

    def test(text: str) -> bool:
        there = set(words(text))
        return sum(word in there for word in wanted) >= needed

    return _any(condition.field, test)


@_compile.register
def _(condition: Phrase) -> Test:
    phrase, prefix = list(condition.words), condition.prefix
    return _any(condition.field, lambda text: has_phrase(words(text), phrase, prefix))


@_compile.register
def _(condition: Every) -> Test:
    tests = [_compile(part) for part in condition.parts]
    if len(tests) == 2:
        first, second = tests
        return lambda document, id: first(document, id) and second(document, id)
    return lambda document, id: all(test(document, id) for test in tests)


@_compile.register
def _(condition: AtLeast) -> Test:
    tests, needed = [_compile(part) for part in condition.parts], condition.needed
    if needed == 1:
        return lambda document, id: any(test(document, id) for test in tests)
    return lambda document, id: sum(test(document, id) for test in tests) >= needed


@_compile.register
def _(condition: Not) -> Test:
    test = _compile(condition.part)
    return lambda document, id: not test(document, id)


@_compile.register
def _(condition: Inside) -> Test:
    inner, items = _compile(condition.part), objects(condition.field)
    return lambda document, id: any(inner(item, id) for item in items(document))
