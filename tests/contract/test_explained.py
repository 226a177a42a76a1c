"""Only the table of differences explains a difference."""

from __future__ import annotations

from tests.contract.__main__ import EXPLAINED, explained_in

PAGE = """# How it differs

Answers 501 and 200.

## Differences

| recordings | OpenSearch | Riverwatch | why |
|---|---|---|---|
| 068, 069 | refuses 412 | takes it | 680 reasons |
| 437 | waits | counts | |

## Less

| 503 | not a difference |
"""


def test_numbers_of_the_first_column_explain() -> None:
    assert explained_in(PAGE) == {"068", "069", "437"}


def test_a_page_without_the_table_explains_nothing() -> None:
    assert explained_in(PAGE.replace("## Differences", "## Other")) == set()


def test_our_page_explains_recordings_but_no_status() -> None:
    explained = explained_in(EXPLAINED.read_text())
    assert {"068", "069"} <= explained
    assert not explained & {"400", "404", "500", "501", "503", "504"}
