"""Rows of JSON: an object a line, or one array of objects. They reach the decoder as they are, as if from Kafka."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO

import msgspec

from deploy.offline.time_text import TimeText


def json_rows(file: BinaryIO, time: str, read_time: TimeText | None) -> Iterator[bytes]:
    """The records; blank lines are none. ``read_time`` changes the texts of the field ``time`` (None: nothing does)."""
    rows = _records(file)
    return rows if read_time is None else (with_time(row, time, read_time) for row in rows)


def _records(file: BinaryIO) -> Iterator[bytes]:
    first = next((line for line in file if line.strip()), b"")
    if first.lstrip().startswith(b"["):
        # An array over the whole file, else lines that hold arrays.
        content = first + file.read()
        try:
            yield from map(bytes, msgspec.json.decode(content, type=list[msgspec.Raw]))
            return
        except msgspec.DecodeError:
            lines = content.split(b"\n")
    else:
        yield first
        lines = file  # type: ignore[assignment]
    for line in lines:
        if line.strip():
            yield line


def with_time(row: bytes, time: str, read_time: TimeText) -> bytes:
    """The JSON record with the text of its field ``time`` read."""
    try:
        document = msgspec.json.decode(row)
    except (msgspec.DecodeError, RecursionError):
        return row
    return msgspec.json.encode(_changed(document, time, read_time))


def _changed(value: Any, path: str, read_time: TimeText) -> Any:
    if isinstance(value, list):
        return [_changed(item, path, read_time) for item in value]
    if not isinstance(value, dict):
        return value
    for name, member in value.items():
        if name == path and isinstance(member, str):
            value[name] = read_time(member)
        elif path.startswith(name + "."):
            value[name] = _changed(member, path[len(name) + 1 :], read_time)
    return value
