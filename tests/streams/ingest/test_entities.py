from __future__ import annotations

import gc
import weakref

import numpy as np

from streams.ingest.entities import NO_ENTITY, EntityTable
from streams.ingest.windows import Batch, RunWindows
from tests.streams.ingest.plans import plan


def test_the_same_values_have_the_same_code() -> None:
    table = EntityTable(plan())
    entities, codes = table.codes([["a", "b", "a", 7, "7"]], 5)
    assert codes.tolist() == [0, 1, 0, 2, 2]
    assert entities.names == ["a", "b", "7"]


def test_several_fields_make_one_name_and_each_must_be_there() -> None:
    table = EntityTable(plan(category_field=["b", "a"]))
    entities, codes = table.codes([["x", "x", None, "x|y"], ["y", None, "y", 1]], 4)
    assert codes.tolist() == [0, NO_ENTITY, NO_ENTITY, 1]
    assert entities.names == ["x|y", "x\\|y|1"]


def test_no_fields_make_one_entity() -> None:
    entities, codes = EntityTable(plan(category_field=...)).codes([], 3)
    assert (codes.tolist(), entities.names) == ([0, 0, 0], [""])


def test_partitions_are_those_of_the_models() -> None:
    one = plan(partitions=5)
    names = [f"host-{number}" for number in range(300)]
    table = EntityTable(one)
    for part in (names[:10], names[10:], names):
        entities, codes = table.codes([part], len(part))
        assert entities.partitions(codes).tolist() == [one.model_partition(name) for name in part]


def feed(table: EntityTable, windows: RunWindows, second: int, hosts: list[str]) -> None:
    table.renew()
    entities, codes = table.codes([hosts], len(hosts))
    size = len(hosts)
    times = np.full(size, second * 1000)
    values = {entry: np.ones(size) for entry in windows.plan.inputs}
    batch = Batch(np.arange(size) + windows.offset, times, times, entities, codes, values)
    windows.fold(batch, windows.offset + size)
    windows.close()


def test_what_no_open_window_needs_is_forgotten() -> None:
    one = plan()
    table = EntityTable(one, limit=100)
    windows, other = RunWindows(one, table, 0), RunWindows(one, table, 0)
    feed(table, other, 0, ["kept"])
    first = weakref.ref(table.current)
    for second in range(50):
        feed(table, windows, second, [f"{second}-{number}" for number in range(60)])
        assert len(table.current.names) <= 100 + 60 + 60 + 1
    other.watermark.advance(500)
    other.close()
    gc.collect()
    assert first() is None
    assert [window.entities for window in other.snapshot().windows] == [["kept"]]


def test_open_windows_may_need_more_than_the_limit() -> None:
    one = plan()
    table = EntityTable(one, limit=10)
    windows = RunWindows(one, table, 0)
    generations = set()
    for _ in range(40):
        feed(table, windows, 0, [f"host-{number}" for number in range(100)])
        generations.add(id(table.current))
    assert len(generations) <= 3
    assert len(windows.snapshot().windows[0].entities) == 100
