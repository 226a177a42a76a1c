"""Rows of delimited text (CSV and its kin), with or without a header."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator
from itertools import chain, islice
from typing import TextIO

import msgspec

from deploy.offline.fields import SAMPLE, Fields
from deploy.offline.time_text import TimeText
from schemas.errors import Refused

SEPARATORS = (",", ";", "\t", "|")
SAMPLE_LINES = 20


def separator_of(lines: list[str]) -> str:
    """The separator of the first lines of a file: the one that cuts most of them into the same number of cells.

    >>> separator_of(["a;b\\n", "1,5;2,5\\n"]), separator_of(["one\\n", "1\\n"])
    (';', ',')
    """

    def quality(separator: str) -> tuple[int, int]:
        try:
            widths = Counter(len(row) for row in csv.reader(lines, delimiter=separator) if row)
        except csv.Error:
            return 0, 0
        width, rows = widths.most_common(1)[0] if widths else (1, 0)
        return (rows, width) if width > 1 else (0, 1)

    return max(SEPARATORS, key=quality)


def delimited_rows(text: TextIO, fields: Fields, read_time: TimeText, *, header: bool) -> Iterator[bytes]:
    """The rows as JSON objects of texts, without their empty cells; blank lines are no rows.

    Without a ``header`` columns are named ``1``, ``2``, ... Rows with more cells than the header become JSON that no
    decoder takes for a record, so that they are counted with the reason. Raises ``Refused`` (400).
    """
    lines = list(islice(text, SAMPLE_LINES))
    # Strict: a quote that is never closed would silently take in the rest of the file.
    reader = csv.reader(chain(lines, text), delimiter=separator_of(lines), strict=True)
    rows = filter(None, reader)
    try:
        first = next(rows, None)
        if first is None:
            raise Refused(400, "The file is empty")
        names = [name.strip() for name in first] if header else [str(place + 1) for place in range(len(first))]
        columns = [(place, names[place]) for place in fields.columns(names)]
        for number, row in enumerate(rows if header else chain([first], rows)):
            if len(row) > len(names):
                yield msgspec.json.encode(f"{len(row)} cells instead of {len(names)}")
                continue
            if number < SAMPLE:
                record = {name: cell for name, cell in zip(names, row, strict=False) if cell}
            else:
                record = {name: row[place] for place, name in columns if place < len(row) and row[place]}
            if fields.time in record:
                record[fields.time] = read_time(record[fields.time])
            yield msgspec.json.encode(record)
    except csv.Error as error:
        raise Refused(400, f"Line {reader.line_num} is no delimited text ({error}): is a quote not closed?") from error
