"""Embedded stores for results, measured against each other: DuckDB, SQLite, Polars on Parquet files, chDB.

    python -m tests.bench.search_stores [--rows 2000000] [--rounds 9] [--only duckdb,sqlite]

All hold the same results and answer the same questions, each with the tables and indexes that suit it, in a process
of its own: memory is that process's. A batch is 2,000 results of which a tenth replace ones that are there. Polars and
chDB are not among Riverwatch's packages (``pip install polars chdb``): what is not installed is left out.
"""

from __future__ import annotations

import argparse
import csv
import importlib.util
import multiprocessing
import random
import resource
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

START = 1_790_000_000_000
MINUTE, DAY = 60_000, 86_400_000
BATCH = 2_000
BATCHES = 100
BIG = "detector-0"
NAMES = ("id", "detector_id", "model_id", "ended", "grade", "score", "confidence", "value", "entity")
TYPES = ("VARCHAR", "VARCHAR", "VARCHAR", "BIGINT", "DOUBLE", "DOUBLE", "DOUBLE", "DOUBLE", "VARCHAR")

Row = tuple[str, str, str, int, float, float, float, float, str]


def row(number: int, dice: random.Random) -> Row:
    """A result: 200 detectors of 1,000 entities, the first of which has a tenth of all."""
    ended, host = START + number // 2000 * MINUTE // 10, f"host-{number * 7919 % 1000}"
    detector = BIG if number % 10 == 0 else f"detector-{number % 199 + 1}"
    grade = dice.random() if dice.random() < 0.002 else 0.0
    numbers = (grade, dice.random() * 2, dice.random(), dice.random() * 100)
    return (f"{detector}|{host}|{ended}|{number}", detector, f"{detector}_{host}", ended, *numbers, host)


def batch(number: int, stored: int) -> list[Row]:
    """Results that come after the stored ones; a tenth of them are stored ones of the last minutes, again."""
    dice = random.Random(number)
    first = stored + number * BATCH
    return [row(first + at if at % 10 else first - at - 10, dice) for at in range(BATCH)]


class Store(Protocol):
    """What each of them can do. ``table`` is what SQL says after FROM."""

    def fill(self, file: Path) -> None:
        """Take in a CSV file of results."""

    def write(self, rows: list[Row]) -> None:
        """Write a batch; an id that is there is replaced."""

    def ask(self, sql: str) -> Any:
        """Answer a question."""

    def close(self) -> None:
        """Done."""


class DuckDb:
    """As Riverwatch uses it: rows in the order in which they come, no index."""

    table = "results"

    def __init__(self, folder: Path) -> None:
        import duckdb

        self._csv = folder / "batch.csv"
        settings: dict[str, Any] = {"memory_limit": "400MB", "wal_autocheckpoint": "64MB"}
        self._connection = duckdb.connect(str(folder / "results.duckdb"), config=settings)
        columns = ", ".join(f"{name} {kind}" for name, kind in zip(NAMES, TYPES, strict=True))
        self._connection.execute(f"CREATE TABLE results ({columns})")
        kinds = ", ".join(f"'{name}': '{kind}'" for name, kind in zip(NAMES, TYPES, strict=True))
        self._reading = f"read_csv(?, header = false, columns = {{{kinds}}})"

    def fill(self, file: Path) -> None:
        """One statement."""
        self._connection.execute(f"INSERT INTO results SELECT * FROM {self._reading}", [str(file)])
        self._connection.execute("CHECKPOINT")

    def write(self, rows: list[Row]) -> None:
        """Through a file, the fastest way into it without Arrow."""
        write_csv(self._csv, rows)
        ends = [each[3] for each in rows]
        self._connection.begin()
        self._connection.execute(
            f"CREATE OR REPLACE TEMP TABLE news AS SELECT * FROM {self._reading}", [str(self._csv)]
        )
        between = "DELETE FROM results WHERE ended BETWEEN ? AND ? AND id IN (SELECT id FROM news)"
        self._connection.execute(between, [min(ends), max(ends)])
        self._connection.execute("INSERT INTO results SELECT * FROM news")
        self._connection.commit()

    def ask(self, sql: str) -> Any:
        """All rows."""
        return self._connection.execute(sql).fetchall()

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


class Sqlite:
    """Rows by id, with indexes for the questions."""

    table = "results"

    def __init__(self, folder: Path) -> None:
        self._connection = sqlite3.connect(folder / "results.sqlite", isolation_level=None)
        for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "cache_size = -400000"):
            self._connection.execute(f"PRAGMA {pragma}")
        self._connection.execute(f"CREATE TABLE results ({', '.join(NAMES)}, PRIMARY KEY (id)) WITHOUT ROWID")
        self._connection.execute("CREATE INDEX by_time ON results (detector_id, ended)")
        self._connection.execute("CREATE INDEX by_grade ON results (detector_id, grade) WHERE grade > 0")

    def fill(self, file: Path) -> None:
        """One transaction."""
        with file.open() as source:
            self._insert(csv.reader(source))
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._connection.execute("ANALYZE")

    def write(self, rows: list[Row]) -> None:
        """One transaction."""
        self._insert(iter(rows))

    def _insert(self, rows: Iterator[Any]) -> None:
        self._connection.execute("BEGIN")
        self._connection.executemany(f"INSERT OR REPLACE INTO results VALUES ({', '.join('?' * len(NAMES))})", rows)
        self._connection.execute("COMMIT")

    def ask(self, sql: str) -> Any:
        """All rows."""
        return self._connection.execute(sql).fetchall()

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


class Polars:
    """Parquet files: one a batch, merged into large ones; of an id in several the last one counts."""

    table = "results"
    MERGED = 50
    """Small files that are merged into a large one, which is part of what writing costs."""

    def __init__(self, folder: Path) -> None:
        self._polars: Any = importlib.import_module("polars")
        self._folder, self._files, self._small = folder, 0, list[Path]()

    def _frame(self, rows: list[Row]) -> Any:
        return self._polars.DataFrame(rows, schema=list(NAMES), orient="row")

    def _file(self) -> Path:
        self._files += 1
        return self._folder / f"{self._files:08}.parquet"

    def fill(self, file: Path) -> None:
        """One file of a million rows after the other."""
        with file.open() as source:
            kinds = (str, str, str, int, float, float, float, float, str)
            rows: list[Any] = []
            for line in csv.reader(source):
                rows.append(tuple(kind(text) for kind, text in zip(kinds, line, strict=True)))
                if len(rows) == 500_000:
                    self._frame(rows).write_parquet(self._file())
                    rows = []
            if rows:
                self._frame(rows).write_parquet(self._file())

    def write(self, rows: list[Row]) -> None:
        """One file."""
        self._small.append(self._file())
        self._frame(rows).write_parquet(self._small[-1])
        if len(self._small) == self.MERGED:
            merged = self._polars.read_parquet(self._small).unique("id", keep="last", maintain_order=True)
            merged.write_parquet(self._file())
            for file in self._small:
                file.unlink()
            self._small = []

    def ask(self, sql: str) -> Any:
        """All rows, with the files as they are now."""
        frame = self._polars.scan_parquet(sorted(self._folder.glob("*.parquet")))
        return self._polars.SQLContext(results=frame).execute(sql).collect().rows()

    def close(self) -> None:
        """Nothing is open."""


class ChDb:
    """ClickHouse's table for replaced rows, sorted by detector and time."""

    table = "results FINAL"

    def __init__(self, folder: Path) -> None:
        session: Any = importlib.import_module("chdb.session")
        self._csv, self._session = folder / "batch.csv", session.Session(str(folder / "chdb"))
        kinds = {"VARCHAR": "String", "BIGINT": "Int64", "DOUBLE": "Float64"}
        columns = ", ".join(f"{name} {kinds[kind]}" for name, kind in zip(NAMES, TYPES, strict=True))
        self._session.query("CREATE DATABASE IF NOT EXISTS b ENGINE = Atomic")
        order = "ENGINE = ReplacingMergeTree ORDER BY (detector_id, ended, id)"
        self._session.query(f"CREATE TABLE b.results ({columns}) {order}")
        self._session.query("USE b")

    def fill(self, file: Path) -> None:
        """One statement."""
        self._session.query(f"INSERT INTO b.results SELECT * FROM file('{file}', 'CSV')")

    def write(self, rows: list[Row]) -> None:
        """Through a file."""
        write_csv(self._csv, rows)
        self.fill(self._csv)

    def ask(self, sql: str) -> Any:
        """All rows, as text."""
        return str(self._session.query(sql, "CSV")).splitlines()

    def close(self) -> None:
        """End it."""
        self._session.close()


STORES: dict[str, tuple[str, Callable[[Path], Any]]] = {
    "duckdb": ("duckdb", DuckDb),
    "sqlite": ("sqlite3", Sqlite),
    "polars": ("polars", Polars),
    "chdb": ("chdb", ChDb),
}


def write_csv(file: Path, rows: list[Row]) -> None:
    """A file without a header."""
    with file.open("w", newline="") as target:
        csv.writer(target).writerows(rows)


def questions(table: str, rows: int) -> dict[str, str]:
    """What is asked, by name."""
    end = START + rows // 2000 * MINUTE // 10
    last, everything = f"ended BETWEEN {end - DAY} AND {end}", ", ".join(NAMES)
    anomalous = f"detector_id = '{BIG}' AND grade > 0"
    return {
        "page": f"SELECT {everything} FROM {table} WHERE detector_id = 'detector-17' AND {last} "
        "ORDER BY ended DESC LIMIT 10",
        "worst": f"SELECT {everything} FROM {table} WHERE {anomalous} ORDER BY grade DESC LIMIT 10",
        "top": f"SELECT entity, max(grade) AS m, count(*) AS c FROM {table} WHERE {anomalous} GROUP BY entity "
        "ORDER BY m DESC LIMIT 10",
        "days": f"SELECT ended - ended % {DAY} AS d, max(grade) AS m, avg(score) AS s, count(*) AS c FROM {table} "
        f"WHERE detector_id = '{BIG}' GROUP BY ended - ended % {DAY}",
        "all": f"SELECT detector_id, count(*) AS c, max(grade) AS m FROM {table} GROUP BY detector_id",
    }


def measure(name: str, file: Path, rows: int, rounds: int, answers: Any) -> None:
    """Fill, write and ask one store; a process of its own. The figures go to ``answers``."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        store = STORES[name][1](folder)
        began = time.perf_counter()
        store.fill(file)
        found: dict[str, float] = {"fill": rows / (time.perf_counter() - began)}
        found["bytes"] = sum(each.stat().st_size for each in folder.rglob("*") if each.is_file()) / rows
        batches = [batch(number, rows) for number in range(BATCHES)]
        began = time.perf_counter()
        for each in batches:
            store.write(each)
        found["write"] = BATCHES * BATCH / (time.perf_counter() - began)
        for question, sql in questions(store.table, rows).items():
            times = []
            for _ in range(rounds):
                began = time.perf_counter()
                assert store.ask(sql), question
                times.append((time.perf_counter() - began) * 1000)
            found[question] = statistics.median(times)
        store.close()
        found["memory"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        answers.put(found)


def main() -> None:
    """Run the bench and print a table for docs/query.md."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rows", type=int, default=2_000_000)
    arguments.add_argument("--rounds", type=int, default=9)
    arguments.add_argument("--only", default=",".join(STORES))
    given = arguments.parse_args()
    print(f"{given.rows:,} results, medians of {given.rounds}")
    print(
        "| store | written in batches | bytes a result | page | worst | top entities | by day | all detectors |"
        " memory |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as temporary:
        file, dice = Path(temporary) / "results.csv", random.Random(3)
        with file.open("w", newline="") as target:
            csv.writer(target).writerows(row(number, dice) for number in range(given.rows))
        context = multiprocessing.get_context("spawn")
        for name in given.only.split(","):
            if importlib.util.find_spec(STORES[name][0]) is None:
                print(f"| {name} | not installed |")
                continue
            answers = context.Queue()
            process = context.Process(target=measure, args=(name, file, given.rows, given.rounds, answers))
            process.start()
            process.join()
            if process.exitcode != 0:
                print(f"| {name} | ended with exit code {process.exitcode} |")
                continue
            found = answers.get()
            times = " | ".join(f"{found[question]:.1f} ms" for question in questions("", 0))
            print(f"| {name} | {found['write']:,.0f}/s | {found['bytes']:.0f} | {times} | {found['memory']:,.0f} MB |")


if __name__ == "__main__":
    main()
