"""The entities with the worst anomalies, or the most: one GROUP BY over the anomalies of a time range."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from api.search.sql.search import Table
from api.search.sql.writer import Parameters, Writer
from schemas.query.conditions import Condition


def top_anomalies(
    table: Table, condition: Condition, fields: Sequence[str], *, by_occurrence: bool = False, size: int = 10
) -> list[dict[str, Any]]:
    """Buckets with ``key`` (a value for each field), ``doc_count`` and ``max_anomaly_grade``, the first ones first.

    ``condition`` says which results count; only those with a grade above 0 do. ``fields`` are category fields:
    entities without one of them are left out. Order is by the highest grade, or by the count; entities that are
    alike in it come in the order of the other, then of their values.
    """
    writer = Writer(table.columns, Parameters())
    where = writer.condition(condition)
    keys = [f"k{number}" for number in range(len(fields))]
    values = [
        f"list_filter(entity, lambda x: x.name = {writer.parameters.add(field)})[1].value AS {key}"
        for field, key in zip(fields, keys, strict=True)
    ]
    order = "found DESC, worst DESC" if by_occurrence else "worst DESC, found DESC"
    sql = (
        f"SELECT {', '.join(keys)}, count(*) AS found, max(anomaly_grade) AS worst FROM (SELECT anomaly_grade, "
        f"{', '.join(values)} FROM {table.name} WHERE {where} AND anomaly_grade > 0) anomalies "
        f"WHERE {' AND '.join(f'{key} IS NOT NULL' for key in keys)} GROUP BY {', '.join(keys)} "
        f"ORDER BY {order}, {', '.join(keys)} LIMIT {size}"
    )
    return [
        {"key": dict(zip(fields, row, strict=False)), "doc_count": row[-2], "max_anomaly_grade": row[-1]}
        for row in table.run(sql, writer.parameters.of(sql))
    ]
