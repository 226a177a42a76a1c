from __future__ import annotations

import numpy as np

from streams.score.limit import EntityLimit
from streams.score.merge import FinalWindow
from tests.schemas.documents import feature
from tests.streams.ingest.plans import plan

AVERAGE = plan(feature("f", "avg", "v")).columns
SKETCH = plan(feature("f", "percentiles", "v")).columns


def window(end: int, **counts: int) -> FinalWindow:
    """A window of entities with so many values each; their sum tells them apart."""
    values = np.array(list(counts.values()), np.float64)
    return FinalWindow(end, 0, list(counts), [values * 10, values])


def test_the_most_active_of_a_window_come_in_first_and_stay() -> None:
    limit = EntityLimit(AVERAGE, 3)
    assert list(limit.admit(window(1, a=1)).entities) == ["a"]
    admitted = limit.admit(window(2, d=5, b=2, a=1, c=9))
    assert list(admitted.entities) == ["d", "a", "c"]
    assert [column.tolist() for column in admitted.columns] == [[50, 10, 90], [5, 1, 9]]
    assert list(limit.admit(window(3, b=100, c=1)).entities) == ["c"]
    assert limit.left_out == 2


def test_below_the_limit_nothing_changes() -> None:
    limit = EntityLimit(AVERAGE, 3)
    whole = window(1, a=1, b=2, c=3)
    assert limit.admit(whole) is whole
    assert limit.left_out == 0


def test_without_a_count_the_names_decide() -> None:
    limit = EntityLimit(SKETCH, 1)
    column = SKETCH[0]
    admitted = limit.admit(FinalWindow(1, 0, ["b", "a"], [column.empty(2)]))
    assert list(admitted.entities) == ["a"]
