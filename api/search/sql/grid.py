"""Buckets of histograms as SQL."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from api.search.aggregations.intervals import DateGrid, NumberGrid, zone_offset
from api.search.sql.writer import Parameters

_QUARTER = 900_000
"""Within 15 minutes of UTC no zone changes its offset and no hour, day or month begins."""

_CLOCK = {"s": 1000, "m": 60_000}


def grid_expression(
    grid: DateGrid | NumberGrid,
    relation: str,
    value: str,
    name: str,
    parameters: Parameters,
    run: Callable[[str, Mapping[str, Any]], list[tuple[Any, ...]]],
) -> str:
    """A relation with one more column: the start of the bucket that each row's value lies in, NULL for no value.

    What depends on a calendar is looked up in Python, once for each quarter of an hour that has rows.
    """
    if isinstance(grid, NumberGrid):
        interval, offset = parameters.add(float(grid.interval)), parameters.add(float(grid.offset))
        start = f"floor(({value}::DOUBLE - {offset}) / {interval}) * {interval} + {offset}"
        return f"SELECT *, {start} AS {name} FROM ({relation}) rows"
    at = f"({value}::BIGINT - {grid.offset})"
    length = grid.fixed if grid.fixed is not None else _CLOCK.get(grid.unit or "")
    if length is not None and (grid.zone is None or grid.fixed is None):
        return f"SELECT *, {_floor(at, length)} + {grid.offset} AS {name} FROM ({relation}) rows"
    quarter = _floor(at, _QUARTER)
    sql = f"SELECT DISTINCT {quarter} FROM ({relation}) rows WHERE {value} IS NOT NULL"
    quarters = [row[0] for row in run(sql, parameters.of(sql))]
    if length is not None:
        looked_up = [zone_offset(one, grid.zone) for one in quarters]
        start = f"{_floor(f'({at} + found.looked_up)', length)} - found.looked_up + {grid.offset}"
    else:
        looked_up = [grid.floor(one + grid.offset) for one in quarters]
        start = "found.looked_up"
    columns = (f"unnest({parameters.add(column)}::BIGINT[])" for column in (quarters, looked_up))
    pairs = f"SELECT {next(columns)} AS q, {next(columns)} AS looked_up"
    return f"SELECT rows.*, {start} AS {name} FROM ({relation}) rows LEFT JOIN ({pairs}) found ON found.q = {quarter}"


def _floor(at: str, length: int) -> str:
    return f"({at} - (({at} % {length}) + {length}) % {length})"
