"""One seed from its beginning to its end."""

from __future__ import annotations

from dataclasses import dataclass

from tests.simulation.reference import differences
from tests.simulation.scenario import Faults, Scenario


@dataclass(frozen=True)
class Outcome:
    """What became of a seed: nothing is wrong when there are no ``differences``."""

    seed: int
    title: str
    results: int
    trace: list[str]
    differences: list[str]


EVERYTHING = Faults()

SOLVED = Faults(outages=False, skew=False)
"""Faults that cost no result. What an outage of Kafka or a worker's wrong clock costs is still to be solved."""


def simulate(seed: int, faults: Faults = SOLVED) -> Outcome:
    """Let a seed happen and compare it with the reference."""
    scenario = Scenario(seed, faults)
    scenario.run()
    found, results = differences(scenario)
    return Outcome(seed, scenario.title, results, scenario.world.trace, found)
