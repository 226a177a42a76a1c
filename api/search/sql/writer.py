"""The back end in DuckDB: a bound query as SQL on a table whose columns are the document's members.

Nested objects are columns of lists of structs. A condition's SQL may be NULL where a column is: only where it is
negated or counted does that make a difference, and there it is taken as false.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from typing import Any

import duckdb

from schemas.query.analysis import has_phrase, words
from schemas.query.bind import typed
from schemas.query.conditions import (
    AtLeast,
    Between,
    Condition,
    Every,
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
)
from schemas.query.dates import parse_date
from schemas.query.fields import Field, FieldType
from schemas.query.tree import Scalar

_WORDS, _PHRASE = "riverwatch_words", "riverwatch_has_phrase"

_INLINE = 100
"""Lists longer than this go in as one parameter, which is joined, not compared one by one."""

_LARGEST = 2**63 - 1


def add_functions(connection: duckdb.DuckDBPyConnection) -> None:
    """Make a connection know the functions that conditions on texts call."""
    connection.create_function(_WORDS, words, ["VARCHAR"], "VARCHAR[]")
    connection.create_function(
        _PHRASE,
        lambda text, phrase, prefix: has_phrase(words(text), phrase.split(" "), prefix),
        ["VARCHAR", "VARCHAR", "BOOLEAN"],
        "BOOLEAN",
    )


class Parameters:
    """The values of a statement's parameters, by name."""

    def __init__(self) -> None:
        self._values: dict[str, Any] = {}

    def add(self, value: Any) -> str:
        """Keep a value; what stands for it in the SQL."""
        name = f"p{len(self._values)}"
        if isinstance(value, int) and not isinstance(value, bool) and not -_LARGEST <= value <= _LARGEST:
            value = float(value)  # no column holds it, but it can be compared with any
        self._values[name] = value
        return "$" + name

    def of(self, sql: str) -> dict[str, Any]:
        """The values that a statement uses: DuckDB refuses others."""
        return {name: self._values[name] for name in set(re.findall(r"\$(p\d+)", sql))}


class Writer:
    """Writes conditions as SQL. ``columns`` are the table's; a field without one has no values."""

    def __init__(self, columns: Collection[str], parameters: Parameters) -> None:
        self._columns = columns
        self.parameters = parameters
        self._scopes: dict[str, str] = {"": ""}
        self._variables = 0

    def column(self, field: Field) -> str | None:
        """The expression for a field's value, None when the table has none."""
        row = self._scopes.get(field.scope)
        names = field.within.split(".")
        if row is None or not (row or names[0] in self._columns):
            return None
        return ".".join([*([row] if row else []), *(f'"{name}"' for name in names)])

    def within(self, path: str, row: str) -> Writer:
        """A writer for conditions on one nested object, which ``row`` stands for."""
        writer = Writer(self._columns, self.parameters)
        writer._scopes = {**self._scopes, path: row}
        writer._variables = self._variables + 1
        return writer

    def variable(self) -> str:
        """A name for the item of a lambda that no enclosing one has."""
        return f"x{self._variables}"

    def condition(self, condition: Condition) -> str:
        """The SQL of a condition."""
        match condition:
            case Everything():
                return "true"
            case Nothing():
                return "false"
            case IdOf(ids):
                return self._among("id", sorted(ids))
            case OneOf(field, values, folded):
                among = sorted(values, key=str)
                return self._any(field, lambda value: self._among(f"lower({value})" if folded else value, among))
            case Between():
                return self._any_word(condition.field, lambda value: self._between(condition, value))
            case Present(field):
                return self._any(field, lambda value: f"{value} IS NOT NULL")
            case Fits(field, expression, folded):
                bound, options = self.parameters.add(expression), "si" if folded else "s"
                return self._any_word(field, lambda value: f"regexp_full_match({value}, {bound}, '{options}')")
            case Words(field, words_, needed):
                return self._any(field, lambda value: self._count(map(self._contains(value), words_), needed))
            case Phrase(field, phrase, prefix):
                bound = self.parameters.add(" ".join(phrase))
                return self._any(field, lambda value: f"{_PHRASE}({value}, {bound}, {prefix})")
            case Every(parts):
                return f"({' AND '.join(map(self.condition, parts))})"
            case AtLeast(1, parts):
                return f"({' OR '.join(map(self.condition, parts))})"
            case AtLeast(needed, parts):
                return self._count(map(self.condition, parts), needed)
            case Not(Present(field)):
                column = self.column(field)
                return "true" if column is None else f"{column} IS NULL"
            case Not(part):
                return f"NOT coalesce({self.condition(part)}, false)"
            case Inside(field, part):
                item = self.variable()
                inner = self.within(field.path, item).condition(part)
                return self._any(
                    field, lambda value: f"coalesce(len(list_filter({value}, lambda {item}: {inner})) > 0, false)"
                )
        raise TypeError(type(condition).__name__)

    def _between(self, condition: Between, value: str) -> str:
        parts = []
        if condition.lower is not None:
            parts.append(f"{value} >{'=' if condition.include_lower else ''} {self._bound(condition.lower)}")
        if condition.upper is not None:
            parts.append(f"{value} <{'=' if condition.include_upper else ''} {self._bound(condition.upper)}")
        return f"({' AND '.join(parts)})" if parts else f"{value} IS NOT NULL"

    def _contains(self, value: str) -> Callable[[str], str]:
        return lambda word: f"list_contains({_WORDS}({value}), {self.parameters.add(word)})"

    def _count(self, parts: Iterable[str], needed: int) -> str:
        return f"({' + '.join(f'CASE WHEN {part} THEN 1 ELSE 0 END' for part in parts)}) >= {needed}"

    def _any(self, field: Field, test: Callable[[str], str]) -> str:
        column = self.column(field)
        return "false" if column is None else test(column)

    def _any_word(self, field: Field, test: Callable[[str], str]) -> str:
        if field.type != "text":
            return self._any(field, test)
        word = self.variable() + "w"
        return self._any(
            field,
            lambda value: f"coalesce(len(list_filter({_WORDS}({value}), lambda {word}: {test(word)})) > 0, false)",
        )

    def _among(self, value: str, values: Collection[Scalar]) -> str:
        if not values:
            return "false"
        if len(values) > _INLINE:
            return f"{value} IN (SELECT unnest({self.parameters.add(list(values))}))"
        if len(values) == 1:
            return f"{value} = {self._bound(next(iter(values)))}"
        return f"{value} IN ({', '.join(map(self._bound, values))})"

    def _bound(self, value: Scalar) -> str:
        return self.parameters.add(value)


def typed_parameter(parameters: Parameters, type_: FieldType, value: Any, now: int) -> str:
    """A value of a query as one of a field's type. Raises ``Refused`` when it can't be."""
    return parameters.add(parse_date(value, now=now) if type_ == "date" else typed(type_, value))
