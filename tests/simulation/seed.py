"""One seed from its beginning to its end."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from tests.simulation.reference import compared, expected
from tests.simulation.scenario import Scenario


@dataclass(frozen=True)
class Outcome:
    """What became of a seed: nothing is wrong when there are no ``differences``."""

    seed: int
    title: str
    results: int
    late: int
    trace: list[str]
    differences: list[str]


def simulate(seed: int) -> Outcome:
    """Let a seed happen and compare it with the reference."""
    scenario = Scenario(seed)
    wanted = cache(lambda: expected(scenario))
    scenario.run(lambda: not compared(scenario, wanted()).differences)
    found, results, late = compared(scenario, wanted())
    return Outcome(seed, scenario.title, results, late, scenario.world.trace, found)
