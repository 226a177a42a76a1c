"""Order, scores and pages as SQL."""

from __future__ import annotations

from typing import Any

from api.search.bind.sorting import BoundKey
from api.search.memory.scoring import constant_score, each_field
from api.search.sql.writer import Writer
from schemas.query import Query
from schemas.query.bind import bind
from schemas.query.fields import Field, Types, nested_path
from schemas.query.tree import Bool, MultiField, Written

_METADATA = {"_id": "id", "_seq_no": "seq_no", "_doc": "rid"}


def sort_expression(key: BoundKey, query: Query, writer: Writer, types: Types, now: int) -> str:
    """The SQL of a document's sort value."""
    if key.key.field == "_score":
        return score_expression(query, writer, types, now)
    if key.key.field in _METADATA:
        return _METADATA[key.key.field]
    value = "NULL" if key.field is None else _value(key, key.field, writer, types, now)
    return value if key.fallback is None else f"coalesce({value}, {writer.parameters.add(key.fallback)})"


def _value(key: BoundKey, field: Field, writer: Writer, types: Types, now: int) -> str:
    if key.key.nested is None:
        column = writer.column(field)
        return "NULL" if column is None else column
    path, wanted = key.key.nested
    column = writer.column(Field(path, "nested", nested_path(types, path)))
    if column is None:
        return "NULL"
    items = column
    if wanted is not None:
        inner = writer.within(path, "x").condition(bind(wanted, types, now, path))
        items = f"list_filter({column}, lambda x: {inner})"
    values = f'list_filter(list_transform({items}, lambda x: x."{field.within}"), lambda v: v IS NOT NULL)'
    mode = key.key.mode or ("max" if key.key.descending else "min")
    return f"list_aggregate({values}, '{mode}')"


def order_by(keys: tuple[BoundKey, ...], names: list[str]) -> str:
    """ORDER BY for sort values that have these names; rows that are alike come in the order of their writing."""
    parts = [
        f"{name} {'DESC' if key.key.descending else 'ASC'} NULLS {'FIRST' if key.first else 'LAST'}"
        for key, name in zip(keys, names, strict=True)
    ]
    return ", ".join([*parts, "rid"])


def after(keys: tuple[BoundKey, ...], expressions: list[str], values: tuple[Any, ...], writer: Writer) -> str:
    """The SQL condition for rows behind the one whose sort values the client sent back."""
    options: list[str] = []
    alike: list[str] = []
    for key, expression, value in zip(keys, expressions, values, strict=True):
        limit = key.read(value)
        if limit is None:
            if key.first:
                options.append(" AND ".join([*alike, f"{expression} IS NOT NULL"]))
            alike.append(f"{expression} IS NULL")
            continue
        bound = writer.parameters.add(limit)
        behind = f"{expression} {'<' if key.key.descending else '>'} {bound}"
        if not key.first:
            behind = f"({behind} OR {expression} IS NULL)"
        options.append(" AND ".join([*alike, behind]))
        alike.append(f"{expression} = {bound}")
    return f"({' OR '.join(options)})" if options else "false"


def score_expression(query: Query, writer: Writer, types: Types, now: int, scope: str = "") -> str:
    """The SQL of the score of a row that matches, by the rules of ``scoring``."""
    constant = constant_score(query)
    if constant is not None:
        return f"{constant}::DOUBLE"

    def tested(clause: Query) -> str:
        condition = writer.condition(bind(clause, types, now, scope))
        return f"CASE WHEN {condition} THEN {score_expression(clause, writer, types, now, scope)} ELSE 0 END"

    if isinstance(query, Written):
        return f"{query.boost} * ({score_expression(query.meaning, writer, types, now, scope)})"
    if isinstance(query, Bool):
        parts = [tested(clause) for clause in (*query.must, *query.should)]
        return f"{query.boost} * ({' + '.join(parts) or '0'})::DOUBLE"
    if isinstance(query, MultiField):
        return f"{query.boost} * greatest({', '.join(map(tested, each_field(query)))}, 0)::DOUBLE"
    return f"{query.boost}::DOUBLE"
