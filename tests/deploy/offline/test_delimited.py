"""Delimited text: separators, quotes, and rows that do not fit the header."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from deploy.offline.delimited import delimited_rows, separator_of
from deploy.offline.fields import Fields
from deploy.offline.time_text import time_text
from schemas.errors import Refused

FIELDS = Fields("t", (), ("x",))


def rows(text: str, *, header: bool = True, fields: Fields = FIELDS) -> list[Any]:
    read = delimited_rows(io.StringIO(text, newline=""), fields, time_text(None, None), header=header)
    return [json.loads(row) for row in read]


@pytest.mark.parametrize(
    ("text", "separator"),
    [
        ("t,x\n1,2\n", ","),
        ("t;x\n1;2,5\n2;3,5\n", ";"),
        ("t\tx\n2024-01-01, 10:00\t1\n", "\t"),
        ("t|x\n1|2\n", "|"),
        ('"a;b","c;d"\n"e;f",1\n', ","),
        ("a,b,c;d\n1,2,3;4\n", ","),
        ("only\n1\n", ","),
        ("", ","),
    ],
)
def test_the_separator_is_told_from_the_first_lines(text: str, separator: str) -> None:
    assert separator_of(text.splitlines(keepends=True)) == separator


def test_quotes_blank_lines_and_spaces_around_names() -> None:
    assert rows('t ,"x"\r\n\r\n1,"2\n3"\r\n') == [{"t": "1", "x": "2\n3"}]


def test_empty_and_missing_cells_are_no_values() -> None:
    assert rows("t,x\n1,\n2\n,3\n") == [{"t": "1"}, {"t": "2"}, {"x": "3"}]


def test_a_row_of_too_many_cells_is_no_record() -> None:
    assert rows("t,x\n1,2,3\n1,2\n") == ["3 cells instead of 2", {"t": "1", "x": "2"}]


def test_columns_without_a_header_have_numbers() -> None:
    assert rows("5,6\n7,8\n", header=False, fields=Fields("1", (), ("2",))) == [
        {"1": "5", "2": "6"},
        {"1": "7", "2": "8"},
    ]


@pytest.mark.parametrize(
    "text", ['t,x\n1,2\n2,"3\n3,4\n', 't,x\n1,2\n2,"3"4\n' + "5,6\n" * 30, "t,x\n1," + "x" * 200_000]
)
def test_a_quote_that_is_not_closed_is_refused_with_its_line(text: str) -> None:
    with pytest.raises(Refused, match=r"Line \d is no delimited text .* is a quote not closed\?"):
        rows("t,x\n" + text)
