"""All results in an embedded column store on disk: a fold over the topic ``results``.

Rows and their offsets are written in one transaction, so a restart continues where it stopped. A store that is missing,
damaged, or of another release or topic begins empty and is filled again from the topic. A result replaces an earlier
one with its id.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

import duckdb
import structlog

from api.results.store_file import StoreUnusable, open_first, open_one, remove
from api.search.sql.writer import Parameters, Writer, add_functions
from schemas.errors import UNREADABLE, Refused
from schemas.query.conditions import Condition
from schemas.result import decode_result

log = structlog.get_logger()

FORMAT = 2
"""Increment when the table changes: older files are then dropped and filled again."""

_SHARES = "STRUCT(feature_id VARCHAR, data DOUBLE)[]"
COLUMNS: dict[str, str] = {
    "detector_id": "VARCHAR",
    "schema_version": "INTEGER",
    "data_start_time": "BIGINT",
    "data_end_time": "BIGINT",
    "feature_data": "STRUCT(feature_id VARCHAR, feature_name VARCHAR, data DOUBLE)[]",
    "execution_start_time": "BIGINT",
    "execution_end_time": "BIGINT",
    "anomaly_score": "DOUBLE",
    "anomaly_grade": "DOUBLE",
    "confidence": "DOUBLE",
    "error": "VARCHAR",
    "entity": "STRUCT(name VARCHAR, value VARCHAR)[]",
    "task_id": "VARCHAR",
    "model_id": "VARCHAR",
    "approx_anomaly_start_time": "BIGINT",
    "relevant_attribution": _SHARES,
    "past_values": _SHARES,
    "expected_values": f"STRUCT(likelihood DOUBLE, value_list {_SHARES})[]",
    "threshold": "DOUBLE",
    "feature_imputed": "STRUCT(feature_id VARCHAR, imputed BOOLEAN)[]",
    "incident": "STRUCT(sequence BIGINT, state VARCHAR, start_time BIGINT, duration BIGINT)",
    "reason": "STRUCT(code VARCHAR, feature_id VARCHAR, text VARCHAR, "
    "bands STRUCT(feature_id VARCHAR, lower DOUBLE, upper DOUBLE)[])",
    "model_state": "VARCHAR",
}
"""The members of a result in OpenSearch's order, followed by the extensions."""

_RECORD = f"STRUCT(id VARCHAR, {', '.join(f'{name} {type_}' for name, type_ in COLUMNS.items())})"
_NAMES = ", ".join(COLUMNS)
MIN_ROWS = 250_000
"""DuckDB frees space in groups of 122,880 rows: below two groups, dropping rows frees nothing."""


CANCELLED = "The search took too long and was cancelled"


class ResultRecord(Protocol):
    """A record of the topic ``results``."""

    @property
    def partition(self) -> int:
        """Kafka partition."""

    @property
    def offset(self) -> int:
        """Offset in the partition."""

    @property
    def value(self) -> bytes | None:
        """The JSON of a result."""

    @property
    def time(self) -> int:
        """Kafka's timestamp, epoch ms."""


class ResultsStore:
    """The store in a folder. One thread writes; any threads may search at the same time.

    ``origin`` names the topic and its cluster: a store filled from another one is dropped. When another process has the
    folder's store open, a second store is created beside it. Raises ``StoreUnusable``.

    A failed write raises ``duckdb.Error``, ``OSError`` or ``StoreUnusable``, changes nothing and can be retried. DuckDB
    invalidates a database whose checkpoint fails, as on a full disk: the next use opens it again.
    """

    def __init__(
        self,
        folder: Path,
        *,
        origin: str = "",
        max_bytes: int = 20 * 1024**3,
        max_age_ms: int = 30 * 86_400_000,
        memory_bytes: int = 400 * 1024**2,
    ) -> None:
        self._origin, self._max_bytes, self._max_age_ms = origin, max_bytes, max_age_ms
        self._memory = memory_bytes
        self._opening = threading.Lock()
        self._invalid = False
        self._written: dict[int, int] = {}
        self._path, self._connection = open_first(folder, self._connect)
        self._batch = self._path.with_suffix(".batch")

    def close(self) -> None:
        """Close the file; what was written is durable without this."""
        self._connection.close()
        self._batch.unlink(missing_ok=True)

    def positions(self) -> dict[int, int]:
        """The next offset to read of each partition."""
        with self.reading() as cursor:
            return dict(cursor.execute("SELECT partition, next_offset FROM positions").fetchall())

    def upsert(self, records: Sequence[ResultRecord]) -> int:
        """Write a batch; a result replaces an earlier one with its id. Returns how many of the records were results.

        Unreadable records are logged and skipped. Raises ``StoreUnusable`` when results that were written are lost: the
        follower must go back to ``positions``.
        """
        known = self.positions()
        if any(known.get(partition, 0) < offset for partition, offset in self._written.items()):
            self._written = known
            raise StoreUnusable("written results are lost: the store is filled again")
        rows: dict[str, bytes] = {}
        ends: dict[str, int] = {}
        positions: dict[int, int] = {}
        for record in records:
            positions[record.partition] = max(record.offset + 1, positions.get(record.partition, 0))
            if record.value is None:
                continue
            try:
                result = decode_result(record.value)
            except UNREADABLE as error:
                log.error("skipped an unreadable result", offset=record.offset, error=str(error))
                continue
            rows.pop(result.id, None)
            rows[result.id] = b'{"p":%d,"o":%d,"t":%d,"r":%s}\n' % (
                record.partition,
                record.offset,
                record.time,
                record.value.replace(b"\n", b" "),
            )
            ends[result.id] = result.data_end_time
        self._write(list(rows.values()), (min(ends.values()), max(ends.values())) if ends else (0, 0), positions)
        self._written.update(positions)
        return len(rows)

    def _write(self, lines: list[bytes], ends: tuple[int, int], positions: Mapping[int, int]) -> None:
        try:
            with self._writing() as connection:
                if lines:
                    self._batch.write_bytes(b"".join(lines))
                    self._replace(connection, ends)
                for partition, offset in positions.items():
                    connection.execute("INSERT OR REPLACE INTO positions VALUES (?, ?)", [partition, offset])
        except (duckdb.ConversionException, duckdb.InvalidInputException) as error:
            if len(lines) < 2:
                log.error("skipped a result that the store can't hold", error=str(error)[:200])
                self._write([], ends, positions)
                return
            middle = len(lines) // 2
            self._write(lines[:middle], ends, {})
            self._write(lines[middle:], ends, positions)

    def _replace(self, connection: duckdb.DuckDBPyConnection, ends: tuple[int, int]) -> None:
        connection.execute(
            "CREATE OR REPLACE TEMP TABLE batch AS SELECT p, o, t, r FROM read_json(?, format = 'newline_delimited', "
            f"columns = {{p: 'INTEGER', o: 'BIGINT', t: 'BIGINT', r: '{_RECORD}'}}, maximum_object_size = 67108864)",
            [str(self._batch)],
        )
        # The bounds avoid reading all ids ever stored: the same id has the same end.
        connection.execute(
            "DELETE FROM results WHERE data_end_time BETWEEN ? AND ? AND id IN (SELECT r.id FROM batch)", list(ends)
        )
        connection.execute(
            f"INSERT INTO results (partition, seq_no, stored_at, id, {_NAMES}) SELECT p, o, t, r.id, "
            f"{', '.join(f'r.{name}' for name in COLUMNS)} FROM batch"
        )

    def delete(self, condition: Condition, before: Mapping[int, int] | None = None) -> int:
        """Delete the results that match a condition; returns how many there were.

        With ``before``, only those before these offsets of their partitions.
        """
        writer = Writer(COLUMNS, Parameters())
        where = writer.condition(condition)
        if before is not None:
            bounds = " OR ".join(f"(partition = {number} AND seq_no < {end})" for number, end in before.items())
            where = f"({where}) AND ({bounds or 'false'})"
        with self._writing() as connection:
            found = connection.execute(f"DELETE FROM results WHERE {where}", writer.parameters.of(where)).fetchone()
        return int(found[0]) if found else 0

    def retain(self, now: int) -> int:
        """Drop results that are too old, and the oldest of a store that is too large; returns how many.

        Space is freed in pieces of about 100,000 results: a store with few of these is not reduced.
        """
        with self._writing() as connection:
            found = connection.execute("DELETE FROM results WHERE stored_at < ?", [now - self._max_age_ms]).fetchone()
        gone = int(found[0]) if found else 0
        size, count = self.size(), self.count()
        if size > self._max_bytes and count > MIN_ROWS:
            share = min(1 - MIN_ROWS / count, 1 - 0.9 * self._max_bytes / size)
            with self._writing() as connection:
                found = connection.execute(
                    f"DELETE FROM results WHERE stored_at <= (SELECT quantile_disc(stored_at, {share}) FROM results)"
                ).fetchone()
            gone += int(found[0]) if found else 0
        if gone:
            self._free()
        return gone

    def analyses(self) -> set[str]:
        """The ids of the analyses that have results."""
        with self.reading() as cursor:
            found = cursor.execute("SELECT DISTINCT task_id FROM results WHERE task_id IS NOT NULL").fetchall()
        return {task for (task,) in found}

    def drop_analyses(self, tasks: Sequence[str]) -> int:
        """Drop all results of these tasks; returns how many."""
        with self._writing() as connection:
            found = connection.execute(
                "DELETE FROM results WHERE task_id IN (SELECT unnest(?::VARCHAR[]))", [list(tasks)]
            ).fetchone()
        gone = int(found[0]) if found else 0
        if gone:
            self._free()
        return gone

    def _free(self) -> None:
        try:
            self._connection.execute("CHECKPOINT")
        except duckdb.TransactionException:
            pass  # another transaction is open: the next checkpoint frees it
        except duckdb.FatalException:
            self._invalid = True
            raise

    def count(self) -> int:
        """Number of results."""
        with self.reading() as cursor:
            found = cursor.execute("SELECT count(*) FROM results").fetchone()
        return int(found[0]) if found else 0

    def size(self) -> int:
        """Bytes used on disk: blocks in use (free ones are reused) and the write-ahead log."""
        with self.reading() as cursor:
            found = cursor.execute("SELECT block_size * used_blocks FROM pragma_database_size()").fetchone()
        log_file = Path(f"{self._path}.wal")
        logged = log_file.stat().st_size if log_file.exists() else 0
        return (int(found[0]) if found else 0) + logged

    @contextmanager
    def reading(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection for one query, which sees one state of the store; ``interrupt`` cancels it.

        Raises ``Refused``: 400 for values that don't fit, 408 when cancelled, 429 when it needs too much memory, 503
        when the file cannot be read.
        """
        try:
            cursor = self._usable().cursor()
        except (StoreUnusable, duckdb.Error) as error:
            raise _unreadable(error) from error
        try:
            cursor.begin()
            yield cursor
        except (duckdb.FatalException, duckdb.IOException) as error:
            self._invalid = self._invalid or isinstance(error, duckdb.FatalException)
            raise _unreadable(error) from error
        except duckdb.InterruptException:
            raise Refused(408, CANCELLED, "timeout_exception") from None
        except duckdb.OutOfMemoryException:
            reason = "[results] Data too large: the search needs more memory than it may have"
            raise Refused(429, reason, "circuit_breaking_exception") from None
        except (duckdb.InvalidInputException, duckdb.OutOfRangeException, duckdb.ConversionException) as error:
            reason = f"The search can't be carried out: {str(error)[:200]}"
            raise Refused(400, reason, "illegal_argument_exception") from None
        finally:
            cursor.close()

    @contextmanager
    def _writing(self) -> Iterator[duckdb.DuckDBPyConnection]:
        connection = self._usable()
        try:
            connection.begin()
            yield connection
            connection.commit()
        except BaseException as error:
            self._invalid = self._invalid or isinstance(error, duckdb.FatalException)
            with suppress(duckdb.Error):
                connection.rollback()
            raise

    def _usable(self) -> duckdb.DuckDBPyConnection:
        """The connection, opened again when DuckDB has invalidated the database. Raises ``StoreUnusable``."""
        with self._opening:
            if self._invalid:
                with suppress(duckdb.Error):
                    self._connection.close()
                try:
                    self._connection = open_one(self._path, self._connect)
                except duckdb.Error as error:
                    raise StoreUnusable(f"the results store {self._path} was opened by another process") from error
                self._invalid = False
                log.warning("the results store was reopened", path=str(self._path))
            return self._connection

    def _connect(self, path: Path) -> duckdb.DuckDBPyConnection:
        connection = self._configured(path)
        found = connection.execute("SELECT table_name FROM duckdb_tables() WHERE table_name = 'about'").fetchone()
        about = connection.execute("SELECT format, origin FROM about").fetchone() if found else None
        if about is not None and about != (FORMAT, self._origin):
            log.info("the results store is of another release or topic and begins empty", path=str(path))
            connection.close()
            remove(path)
            connection = self._configured(path)
            about = None
        if about is None:
            columns = ", ".join(f"{name} {type_}" for name, type_ in COLUMNS.items())
            connection.execute("CREATE TABLE IF NOT EXISTS about (format INTEGER, origin VARCHAR)")
            connection.execute(
                "CREATE TABLE IF NOT EXISTS positions (partition INTEGER PRIMARY KEY, next_offset BIGINT)"
            )
            connection.execute(
                "CREATE TABLE IF NOT EXISTS results "
                f"(partition INTEGER, seq_no BIGINT, stored_at BIGINT, id VARCHAR, {columns})"
            )
            connection.execute("INSERT INTO about VALUES (?, ?)", [FORMAT, self._origin])
        connection.execute("SELECT count(*), max(data_end_time) FROM results").fetchone()
        return connection

    def _configured(self, path: Path) -> duckdb.DuckDBPyConnection:
        connection = duckdb.connect(
            str(path),
            config={
                "memory_limit": f"{self._memory // 1024**2}MB",
                "threads": str(min(4, os.cpu_count() or 1)),
                "temp_directory": str(path.with_suffix(".tmp")),
                "wal_autocheckpoint": "64MB",
                "autoinstall_known_extensions": "false",  # a search must never reach out to the network
            },
        )
        add_functions(connection)
        return connection


def _unreadable(error: Exception) -> Refused:
    reason = f"the results store cannot be read now: {str(error)[:200]}"
    return Refused(503, reason, "service_unavailable_exception")
