"""The second target of a bound query: SQL on a DuckDB table whose columns are the document's members.

Nested objects are columns of lists of structs. A condition's SQL may be NULL where a column is: only where it is
negated or counted does that make a difference, and there it is taken as false.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from functools import singledispatchmethod
from typing import Any

from api.search.binding import typed
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
    Value,
    Wild,
    Words,
)
from api.search.mappings import FieldType
from schemas.query.dates import parse_date
from schemas.query.pattern import regexp_to_re2, wildcard_pieces

WORDS = "riverwatch_words"
PHRASE = "riverwatch_has_phrase"
"""Functions that a connection must know: the words of a text, and ``has_phrase`` on words joined by a blank."""

_INLINE = 100
"""Lists longer than this go in as one parameter, which is joined, not compared one by one."""

_LARGEST = 2**63 - 1


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
        if row is None or "." in field.within:
            return None
        if row:
            return f'{row}."{field.within}"'
        return f'"{field.within}"' if field.within in self._columns else None

    def within(self, path: str, row: str) -> Writer:
        """A writer for conditions on one nested object, which ``row`` stands for."""
        writer = Writer(self._columns, self.parameters)
        writer._scopes = {**self._scopes, path: row}
        writer._variables = self._variables + 1
        return writer

    def variable(self) -> str:
        """A name for the item of a lambda that no enclosing one has."""
        return f"x{self._variables}"

    @singledispatchmethod
    def condition(self, condition: Condition) -> str:
        """The SQL of a condition."""
        raise TypeError(type(condition).__name__)

    @condition.register
    def _(self, condition: Everything) -> str:
        return "true"

    @condition.register
    def _(self, condition: Nothing) -> str:
        return "false"

    @condition.register
    def _(self, condition: IdOf) -> str:
        return self._among("id", sorted(condition.ids))

    @condition.register
    def _(self, condition: OneOf) -> str:
        values = sorted(condition.values, key=str)
        return self._any(
            condition.field, lambda value: self._among(f"lower({value})" if condition.folded else value, values)
        )

    @condition.register
    def _(self, condition: Between) -> str:
        def test(value: str) -> str:
            parts = []
            if condition.lower is not None:
                parts.append(f"{value} >{'=' if condition.include_lower else ''} {self._bound(condition.lower)}")
            if condition.upper is not None:
                parts.append(f"{value} <{'=' if condition.include_upper else ''} {self._bound(condition.upper)}")
            return f"({' AND '.join(parts)})" if parts else f"{value} IS NOT NULL"

        return self._any_word(condition.field, test)

    @condition.register
    def _(self, condition: Present) -> str:
        return self._any(condition.field, lambda value: f"{value} IS NOT NULL")

    @condition.register
    def _(self, condition: Prefixed) -> str:
        start = self.parameters.add(condition.start.lower() if condition.folded else condition.start)
        return self._any_word(
            condition.field,
            lambda value: f"starts_with({f'lower({value})' if condition.folded else value}, {start})",
        )

    @condition.register
    def _(self, condition: Wild) -> str:
        pattern = like_pattern(condition.pattern)
        bound = self.parameters.add(pattern.lower() if condition.folded else pattern)
        return self._any_word(
            condition.field,
            lambda value: f"{f'lower({value})' if condition.folded else value} LIKE {bound} ESCAPE '!'",
        )

    @condition.register
    def _(self, condition: Fitting) -> str:
        pattern = self.parameters.add(regexp_to_re2(condition.pattern))
        options = "si" if condition.folded else "s"
        return self._any_word(condition.field, lambda value: f"regexp_full_match({value}, {pattern}, '{options}')")

    @condition.register
    def _(self, condition: Words) -> str:
        def test(value: str) -> str:
            found = [
                f"CASE WHEN list_contains({WORDS}({value}), {self.parameters.add(word)}) THEN 1 ELSE 0 END"
                for word in condition.words
            ]
            return f"({' + '.join(found)}) >= {condition.needed}"

        return self._any(condition.field, test)

    @condition.register
    def _(self, condition: Phrase) -> str:
        phrase = self.parameters.add(" ".join(condition.words))
        return self._any(condition.field, lambda value: f"{PHRASE}({value}, {phrase}, {condition.prefix})")

    @condition.register
    def _(self, condition: Every) -> str:
        return f"({' AND '.join(self.condition(part) for part in condition.parts)})"

    @condition.register
    def _(self, condition: AtLeast) -> str:
        parts = [self.condition(part) for part in condition.parts]
        if condition.needed == 1:
            return f"({' OR '.join(parts)})"
        return f"({' + '.join(f'CASE WHEN {part} THEN 1 ELSE 0 END' for part in parts)}) >= {condition.needed}"

    @condition.register
    def _(self, condition: Not) -> str:
        if isinstance(condition.part, Present):
            column = self.column(condition.part.field)
            return "true" if column is None else f"{column} IS NULL"
        return f"NOT coalesce({self.condition(condition.part)}, false)"

    @condition.register
    def _(self, condition: Inside) -> str:
        column = self.column(condition.field)
        if column is None:
            return "false"
        item = self.variable()
        inner = self.within(condition.field.path, item).condition(condition.part)
        return f"coalesce(len(list_filter({column}, lambda {item}: {inner})) > 0, false)"

    def _any(self, field: Field, test: Callable[[str], str]) -> str:
        column = self.column(field)
        return "false" if column is None else test(column)

    def _any_word(self, field: Field, test: Callable[[str], str]) -> str:
        if field.type != "text":
            return self._any(field, test)
        word = self.variable() + "w"
        return self._any(
            field, lambda value: f"coalesce(len(list_filter({WORDS}({value}), lambda {word}: {test(word)})) > 0, false)"
        )

    def _among(self, value: str, values: Collection[Value]) -> str:
        if not values:
            return "false"
        if len(values) > _INLINE:
            return f"{value} IN (SELECT unnest({self.parameters.add(list(values))}))"
        if len(values) == 1:
            return f"{value} = {self._bound(next(iter(values)))}"
        return f"{value} IN ({', '.join(map(self._bound, values))})"

    def _bound(self, value: Value) -> str:
        return self.parameters.add(value)


def like_pattern(wildcard: str) -> str:
    """A wildcard pattern as one for LIKE with the escape character ``!``.

    >>> like_pattern("a_?*")
    'a!__%'
    """
    pieces = (
        "".join("_" if one is None else "!" + one if one in "%_!" else one for one in piece)
        for piece in wildcard_pieces(wildcard)
    )
    return "%".join(pieces)


def typed_parameter(parameters: Parameters, type_: FieldType, value: Any, now: int) -> str:
    """A value of a query as one of a field's type. Raises ``Refused`` when it can't be."""
    return parameters.add(parse_date(value, now=now) if type_ == "date" else typed(type_, value))
