"""Rows of Parquet files, read by DuckDB."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb

from deploy.offline.fields import SAMPLE, Fields
from deploy.offline.json_rows import with_time
from deploy.offline.time_text import TimeText
from schemas.errors import Refused

BATCH = 10_000


def parquet_rows(path: Path, fields: Fields, read_time: TimeText | None) -> Iterator[bytes]:
    """The rows as JSON objects. Raises ``Refused`` (400)."""
    with duckdb.connect() as connection:
        # Times with an offset are shown in the session's zone.
        connection.execute("SET TimeZone = 'UTC'")
        try:
            described = connection.execute("DESCRIBE FROM read_parquet(?)", [str(path)]).fetchall()
            header = [str(name) for name, *_ in described]
            columns = ", ".join('"' + header[place].replace('"', '""') + '"' for place in fields.columns(header))
            for part in (f"* FROM read_parquet(?) LIMIT {SAMPLE}", f"{columns} FROM read_parquet(?) OFFSET {SAMPLE}"):
                found = connection.execute(f"SELECT to_json(r)::VARCHAR FROM (SELECT {part}) AS r", [str(path)])
                while rows := found.fetchmany(BATCH):
                    for (text,) in rows:
                        row = text.encode()
                        yield row if read_time is None else with_time(row, fields.time, read_time)
        except duckdb.Error as error:
            raise Refused(400, f"The Parquet file cannot be read: {error}") from error
