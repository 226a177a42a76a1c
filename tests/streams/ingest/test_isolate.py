"""Records that raise what nobody has thought of cost themselves, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.features.plan import Plan
from streams.ingest.decode import Decoded, Decoder
from streams.ingest.entities import Entities, EntityTable
from streams.ingest.isolate import isolate
from tests.schemas.documents import feature
from tests.streams.ingest.plans import letters, plan, records
from tests.streams.ingest.test_decode import GOOD, rows


class Faulty(EntityTable):
    """A table with a fault: it can't look up one of the hosts."""

    def codes(self, columns: Sequence[Sequence[Any]], size: int) -> tuple[Entities, npt.NDArray[np.int64]]:
        if "boom" in columns[0]:
            raise ZeroDivisionError("by nothing")
        return super().codes(columns, size)


def decode(plans: Sequence[Plan], faulty: Sequence[str], values: Sequence[Any]) -> Decoded:
    tables = [(Faulty if each.owner in faulty else EntityTable)(each, 1_000) for each in plans]
    return Decoder(plans, tables, max_ahead_ms=600_000).decode("m", 3, records(values))


def test_only_the_record_and_only_the_detector_that_it_raises_for_lose_it(capsys: pytest.CaptureFixture[str]) -> None:
    good = [{**GOOD, "host": str(number), "v": [1, 2]} for number in range(20)]
    values: list[Any] = [*good[:7], {**GOOD, "host": "boom"}, *good[7:], b"{", {**GOOD, "host": "boom"}]
    decoded = decode([plan(), plan(feature("n", "value_count", "v"), owner="e")], ["d"], values)
    assert letters(decoded) == [(7, "undecodable", "d"), (21, "malformed-json", ""), (22, "undecodable", "d")]
    assert decoded.dead_letters[0].detail == "ZeroDivisionError: by nothing"
    wanted = [row for row in rows(decode([plan()], [], values)) if row[2] != "boom"]
    assert rows(decoded) == wanted
    assert [row[0] for row in rows(decoded, "e")] == [*range(21), 22]
    # The second one comes at once, and is not worth another page.
    assert capsys.readouterr().out.count("record can't be decoded") == 1


def test_a_record_may_raise_for_several_detectors() -> None:
    decoded = decode([plan(), plan(owner="e")], ["d", "e"], [GOOD, {**GOOD, "host": "boom"}])
    assert letters(decoded) == [(1, "undecodable", "d,e")]
    assert [len(decoded.batches[owner].times) for owner in "de"] == [1, 1]


def test_exhausted_memory_is_no_fault_of_a_record() -> None:
    def decode(part: Sequence[int]) -> None:
        raise MemoryError

    with pytest.raises(MemoryError):
        isolate([1, 2], decode, lambda record: None)


@given(st.lists(st.booleans(), max_size=40))
def test_every_record_is_decoded_once_and_in_order(bad: list[bool]) -> None:
    calls = 0

    def decode(part: Sequence[int]) -> list[int]:
        nonlocal calls
        calls += 1
        if any(bad[number] for number in part):
            raise ValueError
        return list(part)

    found = isolate(range(len(bad)), decode, lambda number: [-number])
    assert [each for part in found for each in part] == [-n if bad[n] else n for n in range(len(bad))]
    assert calls <= 1 + 2 * 6 * sum(bad)
