"""The same rows in any kind of file come to the same windows."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.offline.file import FileFormat, read_rows
from schemas.errors import Refused
from tests.deploy.offline.rows import NOON, fields, file_run, windows

FEATURES = ["avg:größe [mm]", "count:größe [mm]", "max:y"]
FIELDS = fields(FEATURES, ["host"])
Table = list[dict[str, Any]]

COLUMNS = {"t": "BIGINT", "größe [mm]": "DOUBLE", "y": "INTEGER", "host": "VARCHAR", "note": "VARCHAR"}
FIRST: Table = [{"t": NOON, "größe [mm]": 1.5, "y": 1, "host": "a", "note": ""}]
rows_of_tables = st.tuples(
    st.integers(0, 300).map(lambda second: NOON + second * 1000),
    st.none() | st.integers(-5, 5) | st.floats(-1e6, 1e6).map(lambda x: round(x, 3)),
    st.none() | st.integers(0, 9),
    st.text(st.characters(codec="cp1252", exclude_categories=["Cc"]), min_size=1, max_size=8),
    st.sampled_from(["", "plain", 'with "quotes"', "a, b; c\td|e", "two\nlines", "ä"]),
)
tables = st.lists(rows_of_tables.map(lambda row: dict(zip(COLUMNS, row, strict=True))), max_size=20).map(
    lambda more: FIRST + more
)


def delimited(table: Table, separator: str, *, header: bool = True, newline: str = "\n") -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(table[0]), delimiter=separator, lineterminator=newline)
    if header:
        writer.writeheader()
    writer.writerows(table)
    return text.getvalue()


def parquet(table: Table, path: Path) -> None:
    lines = path.with_suffix(".json")
    lines.write_text("\n".join(map(json.dumps, table)))
    with duckdb.connect() as connection:
        rows = f"FROM read_json('{lines}', format = 'newline_delimited', columns = {COLUMNS})"
        connection.execute(
            f"COPY (SELECT make_timestamp(1000 * t) AS t, * EXCLUDE t {rows}) TO '{path}' (FORMAT parquet)"
        )


def kinds(table: Table, folder: Path) -> Iterator[tuple[str, Path, FileFormat]]:
    """Files that hold the table, with what is to be said of each."""
    lines = [json.dumps(row, ensure_ascii=False) for row in table]
    numbered = [dict(zip("12345", row.values(), strict=True)) for row in table]
    files: dict[str, tuple[bytes, FileFormat]] = {
        "lines": ("\n".join(lines).encode(), FileFormat()),
        "array": (json.dumps(table, indent=1).encode(), FileFormat()),
        "lines utf-16": ("\n".join(lines).encode("utf-16"), FileFormat()),
        "header with mark": (delimited(table, ",").encode("utf-8-sig"), FileFormat()),
        "windows": (delimited(table, ";", newline="\r\n").encode("cp1252"), FileFormat(encoding="cp1252")),
        "numbered": (delimited(numbered, ",", header=False).encode(), FileFormat(header=False)),
    }
    for name, separator in {"comma": ",", "semicolon": ";", "tab": "\t", "bar": "|"}.items():
        files[name] = delimited(table, separator).encode(), FileFormat()
    for name, (content, form) in files.items():
        for suffix, stored in (("", content), (" gz", gzip.compress(content))):
            path = folder / (name + suffix)
            path.write_bytes(stored)
            yield name + suffix, path, form
    parquet(table, folder / "parquet")
    yield "parquet", folder / "parquet", FileFormat()


def windows_of(path: Path, form: FileFormat) -> dict[tuple[int, str], dict[str, float]]:
    if form.header:
        return windows(file_run(read_rows(path, FIELDS, form), FEATURES, by=["host"], interval="10s"))
    features = ["avg=avg:2", "count=count:2", "max=max:3"]
    named = fields(features, ["4"])
    numbered = type(named)("1", ("4",), ("2", "3"))
    rows = (row.replace(b'"1":', b'"t":') for row in read_rows(path, numbered, form))
    return windows(file_run(rows, features, by=["4"], interval="10s"))


@settings(max_examples=10)
@given(table=tables)
def test_every_kind_of_file_comes_to_the_same_windows(table: Table, tmp_path_factory: pytest.TempPathFactory) -> None:
    found = {
        name: {key: list(values.values()) for key, values in windows_of(path, form).items()}
        for name, path, form in kinds(table, tmp_path_factory.mktemp("kinds"))
    }
    assert {name: each for name, each in found.items() if each != found["lines"]} == {}


def rows(content: bytes, tmp_path: Path, form: FileFormat = FileFormat(), field: str = "x") -> list[dict[str, Any]]:  # noqa: B008
    path = tmp_path / "file"
    path.write_bytes(content)
    return [json.loads(row) for row in read_rows(path, fields([f"avg:{field}"]), form)]


def test_json_reaches_the_decoder_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b'{"t": 1, "x": NaN}\n\n{"t": 2, "s": {"x": [1, 2]}}\nrubbish\n')
    assert list(read_rows(path, fields(["avg:x"]), FileFormat())) == [
        b'{"t": 1, "x": NaN}\n',
        b'{"t": 2, "s": {"x": [1, 2]}}\n',
        b"rubbish\n",
    ]


def test_lines_that_hold_arrays_are_no_array_of_all_rows(tmp_path: Path) -> None:
    found: list[Any] = rows(b'[{"t": 1}, {"t": 2}]\n[{"t": 3}]\n', tmp_path)
    assert found == [[{"t": 1}, {"t": 2}], [{"t": 3}]]


def test_a_time_zone_changes_the_times_of_json_and_parquet_too(tmp_path: Path) -> None:
    form = FileFormat(time_zone="Europe/Berlin")
    content = b'{"t": "2024-07-01 12:00:00", "x": 1}\n{"t": 5, "x": 2}\n[]\nrubbish'
    path = tmp_path / "file"
    path.write_bytes(content)
    found = list(read_rows(path, fields(["avg:x"]), form))
    assert json.loads(found[0])["t"] == "2024-07-01T10:00:00.000Z"
    assert json.loads(found[1])["t"] == 5
    assert found[3] == b"rubbish"
    parquet(FIRST, tmp_path / "parquet")
    (row,) = read_rows(tmp_path / "parquet", FIELDS, form)
    assert json.loads(row)["t"] == "2024-01-01T11:00:00.000Z"


@pytest.mark.parametrize(
    ("content", "form", "message"),
    [
        (b"", FileFormat(), "The file is empty"),
        (b"\n\n", FileFormat(), "The file is empty"),
        ("t,x,größe\n".encode("cp1252"), FileFormat(), "name its encoding with --encoding, such as cp1252"),
        ('{"t": "größe"}'.encode("utf-16-le"), FileFormat(encoding="ascii"), "The file is not ascii"),
        (b"t,x\n1,2\n", FileFormat(encoding="nonsense"), "'nonsense' is no encoding"),
        (b"t,x,x\n1,2,3\n", FileFormat(), "The file has 2 columns x"),
        (b"PAR1 and rubbish", FileFormat(), "The Parquet file cannot be read"),
        (gzip.compress(b"t,x\n1,2\n" * 1000, mtime=0)[:-20], FileFormat(), "cannot be read"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused(content: bytes, form: FileFormat, message: str, tmp_path: Path) -> None:
    with pytest.raises(Refused) as refused:
        rows(content, tmp_path, form)
    assert message in refused.value.reason


def columns_read(path: Path, names: Sequence[str]) -> set[str]:
    """The names of the columns that are read of rows beyond the first thousand."""
    last = list(read_rows(path, fields([f"avg:{name}" for name in names]), FileFormat()))[-1]
    return set(json.loads(last))


def test_of_most_rows_only_the_needed_columns_are_read(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("t,x,y,z\n" + "1,2,3,4\n" * 1001)
    assert columns_read(path, ["y"]) == {"t", "y"}
    with duckdb.connect() as connection:
        connection.execute(
            f"COPY (SELECT 1 AS t, {{'a': 2}} AS x, 3 AS y FROM range(1001)) TO '{path}' (FORMAT parquet)"
        )
    assert columns_read(path, ["x.a"]) == {"t", "x"}
