"""Metric aggregations as SQL: the columns that a GROUP BY computes."""

from __future__ import annotations

from typing import Any

from api.search.aggregations.tree import Aggregation
from api.search.sql.writer import Writer, typed_parameter
from schemas.query.fields import Field, FieldType

_COLUMNS = {
    "value_count": ("count({v})",),
    "cardinality": ("count(DISTINCT {v})",),
    "min": ("min({v})",),
    "max": ("max({v})",),
    "avg": ("favg({v}::DOUBLE)",),
    "sum": ("fsum({v}::DOUBLE)",),
    "extended_stats": ("count({v})", "min({v})", "max({v})", "fsum({v}::DOUBLE)", "fsum({v}::DOUBLE * {v}::DOUBLE)"),
    "percentiles": ("quantile_cont({v}::DOUBLE, [{shares}])",),
}


def metric_columns(aggregation: Aggregation, field: Field | None, writer: Writer, now: int) -> list[str]:
    """What a query selects for a metric."""
    value = field_value(field, aggregation.settings["missing"], writer, now)
    shares = ", ".join(str(percent / 100) for percent in aggregation.settings.get("percents", ()))
    return [column.format(v=value, shares=shares) for column in _COLUMNS[aggregation.kind]]


def field_value(field: Field | None, missing: Any, writer: Writer, now: int) -> str:
    """The SQL of a field's value, with what stands for none; numbers for booleans."""
    column = None if field is None else writer.column(field)
    type_: FieldType = "double" if field is None else field.type
    stands = "NULL" if missing is None else typed_parameter(writer.parameters, type_, missing, now)
    if column is None:
        return f"({stands}::DOUBLE)" if type_ not in ("keyword", "text") else f"({stands}::VARCHAR)"
    if type_ == "boolean":
        column, stands = f"{column}::INTEGER", f"{stands}::INTEGER"
    return f"({column})" if missing is None else f"coalesce({column}, {stands})"
