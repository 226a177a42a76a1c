"""Which columns are read, and which field an error names."""

from __future__ import annotations

import pytest

from deploy.offline.fields import Fields, check_times, check_usable, listed
from schemas.errors import Refused


def test_the_columns_to_read_are_those_with_a_named_field_in_them() -> None:
    header = ["x", "t", "host", "cpu", "a.b"]
    assert Fields("t", ("host",), ("cpu",)).columns(header) == [1, 2, 3]
    assert Fields("t", (), ("cpu.user", "a.b")).columns(header) == [1, 3, 4]
    assert Fields("t", (), ("cpu",), whole=True).columns(header) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("header", "message"),
    [(["t"], "There is no column x: the file has t"), (["t", "x", "t"], "The file has 2 columns t")],
)
def test_a_field_must_be_one_column(header: list[str], message: str) -> None:
    with pytest.raises(Refused) as refused:
        Fields("t", (), ("x",)).columns(header)
    assert refused.value.reason == message


def test_a_usable_field_is_not_refused() -> None:
    check_usable([b"rubbish", b'{"x": "much"}', b'{"x": "1.5"}'], "x", number=True)
    check_usable([b'{"host": "a"}'], "host.keyword", number=False)
    check_times([b'{"t": "1970-01-01"}'], "t", 0)
    check_times([b'{"t": 1}'], "t", 1_700_000_000_000)


def test_many_names_are_cut_short() -> None:
    assert listed([str(number) for number in range(32)]).endswith(", 29 and 2 more")
