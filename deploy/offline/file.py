"""Opening a file of rows, whatever it holds: delimited text, JSON or Parquet, compressed with gzip or not."""

from __future__ import annotations

import codecs
import gzip
import io
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from deploy.offline.delimited import delimited_rows
from deploy.offline.fields import Fields
from deploy.offline.json_rows import json_rows
from deploy.offline.parquet import parquet_rows
from deploy.offline.time_text import time_text
from schemas.errors import Refused

_GZIP, _PARQUET = b"\x1f\x8b", b"PAR1"
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


@dataclass(frozen=True, kw_only=True)
class FileFormat:
    """What the file itself does not tell. ``encoding`` None is UTF-8, or that of a byte order mark."""

    encoding: str | None = None
    header: bool = True
    time_format: str | None = None
    time_zone: str | None = None


def read_rows(path: Path, fields: Fields, form: FileFormat) -> Iterator[bytes]:
    """The rows of a file (``-`` is standard input) as JSON records. Raises ``Refused`` (400)."""
    if form.encoding is not None and not _is_encoding(form.encoding):
        raise Refused(400, f"{form.encoding!r} is no encoding: a name such as cp1252 or utf-16 is expected")
    read_time = time_text(form.time_format, form.time_zone)
    # JSON and Parquet have times of their own, which are read as workers read them unless something else is asked for.
    asked = read_time if form.time_format or form.time_zone else None
    try:
        with _opened(path) as file:
            if _peek(file, len(_PARQUET)) == _PARQUET:
                with _on_disk(path, file) as stored:
                    yield from parquet_rows(stored, fields, asked)
                return
            encoding = _encoding(file) if form.encoding is None else form.encoding
            start = _peek(file, 4096).decode(encoding, "ignore").lstrip("\ufeff \t\r\n")[:1]
            if start in ("{", "["):
                json = file if encoding == "utf-8" else io.BytesIO(file.read().decode(encoding).encode())
                yield from json_rows(json, fields.time, asked)
            else:
                text = io.TextIOWrapper(file, encoding, newline="")
                yield from delimited_rows(text, fields, read_time, header=form.header)
    except UnicodeDecodeError as error:
        raise Refused(
            400, f"The file is not {error.encoding} ({error.reason}): name its encoding with --encoding, such as cp1252"
        ) from error
    except (OSError, EOFError) as error:
        raise Refused(400, f"{path} cannot be read: {error}") from error


@contextmanager
def _opened(path: Path) -> Iterator[io.BufferedReader]:
    """The file's bytes, decompressed."""
    with nullcontext(_standard_input()) if str(path) == "-" else path.open("rb") as file:
        if _peek(file, len(_GZIP)) == _GZIP:
            with gzip.GzipFile(fileobj=file) as unpacked:
                yield io.BufferedReader(unpacked)
        else:
            yield file


def _standard_input() -> io.BufferedReader:
    stream: Any = sys.stdin.buffer
    return stream if isinstance(stream, io.BufferedReader) else io.BufferedReader(stream)


@contextmanager
def _on_disk(path: Path, file: BinaryIO) -> Iterator[Path]:
    """A path under which the file can be read: its own, or that of a copy."""
    if str(path) != "-":
        yield path
        return
    with tempfile.NamedTemporaryFile(suffix=".parquet") as copy:
        shutil.copyfileobj(file, copy)
        copy.flush()
        yield Path(copy.name)


def _peek(file: io.BufferedReader, size: int) -> bytes:
    """The first bytes, which are read again. A pipe may give them in pieces."""
    start = b""
    while len(start) < size and len(more := file.peek(size)) > len(start):
        start = more
    return start[:size]


def _is_encoding(name: str) -> bool:
    try:
        codecs.lookup(name)
    except LookupError:
        return False
    return True


def _encoding(file: io.BufferedReader) -> str:
    start = _peek(file, 4)
    return next((name for mark, name in _MARKS if start.startswith(mark)), "utf-8")
