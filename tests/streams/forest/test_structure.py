"""Trees are drawn once for all who have them."""

from __future__ import annotations

from streams.forest.cells import reachable
from streams.forest.structure import draw_spaced


def test_as_long_as_somebody_has_trees_they_are_not_drawn_again() -> None:
    held = [draw_spaced(seed, 1, 1, 2) for seed in range(300)]
    tables = [reachable(structure) for structure in held]
    assert all(draw_spaced(seed, 1, 1, 2) is structure for seed, structure in enumerate(held))
    assert all(reachable(structure) is table for structure, table in zip(held, tables, strict=True))
