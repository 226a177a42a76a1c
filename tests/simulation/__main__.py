"""Simulates workers under faults, seed by seed, and compares what comes out with an undisturbed pass over the data.

    python -m tests.simulation --seeds 10000
    python -m tests.simulation --seed 37               the story of one seed
    python -m tests.simulation --seconds 20            as many seeds as there is time for
    python -m tests.simulation --without fence         with a protection taken out: shows what it is for

Exit status 1 when a seed differs; its story is printed, and the command that runs it again.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import multiprocessing
import os
import sys
import time
from collections.abc import Generator, Iterator

import structlog

from tests.simulation.protections import PROTECTIONS, without
from tests.simulation.seed import Outcome, simulate

# What a killed worker was about to do is thrown away, wherever it stood: its coroutines complain about that.
sys.unraisablehook = lambda _: None
structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


def main(arguments: list[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description="simulate workers under faults")
    parser.add_argument("--seed", type=int, help="only this one, with its whole story")
    parser.add_argument("--seeds", type=int, default=1000, help="how many")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin no seed after so long")
    parser.add_argument("--without", choices=sorted(PROTECTIONS), help="take this protection out")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    parser.add_argument("--stop", action="store_true", help="end with the first seed that differs")
    given = parser.parse_args(arguments)
    if "PYTHONHASHSEED" not in os.environ:
        # The order of sets is part of a history: without it a seed would not lead to the same one again.
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**os.environ, "PYTHONHASHSEED": "0"})
    seeds = range(given.first, given.first + given.seeds) if given.seed is None else range(given.seed, given.seed + 1)
    begun, count, wrong, late = time.monotonic(), 0, 0, 0
    with contextlib.closing(outcomes(seeds, given.without, given.jobs, begun + given.seconds)) as running:
        for outcome in running:
            count += 1
            wrong += bool(outcome.differences)
            late += bool(outcome.late)
            if outcome.differences or given.seed is not None:
                show(outcome, given.without, whole=given.seed is not None)
            if outcome.differences and given.stop:
                break
    took = time.monotonic() - begun
    told = f", {late} with late records after an outage that nobody had seen, all told" if late else ""
    sys.stdout.write(f"{count} seeds, {wrong} with differences{told}, {took:.0f} s\n")
    return 1 if wrong else 0


def outcomes(seeds: range, protection: str | None, jobs: int, deadline: float) -> Generator[Outcome]:
    """What became of each seed, in any order."""

    def in_time() -> Iterator[tuple[int, str | None]]:
        for seed in seeds:
            if time.monotonic() > deadline:
                return
            yield seed, protection

    if jobs == 1 or len(seeds) == 1:
        yield from map(_one, in_time())
        return
    with multiprocessing.get_context("fork").Pool(jobs) as pool:
        for start in range(0, len(seeds), 8 * jobs):
            if time.monotonic() > deadline:
                return
            yield from pool.imap_unordered(_one, [(seed, protection) for seed in seeds[start : start + 8 * jobs]])


def _one(given: tuple[int, str | None]) -> Outcome:
    seed, protection = given
    with without(protection):
        return simulate(seed)


def show(outcome: Outcome, protection: str | None, *, whole: bool) -> None:
    """Print a seed's story."""
    most = None if whole else 8
    left_out = len(outcome.differences) - len(outcome.differences[:most])
    again = f"PYTHONHASHSEED={os.environ['PYTHONHASHSEED']} {sys.executable} -m tests.simulation --seed {outcome.seed}"
    lines = [
        f"seed {outcome.seed}: {outcome.title}",
        *outcome.trace,
        *(f"  ! {difference}" for difference in outcome.differences[:most]),
        *([f"  ! and {left_out} more"] if left_out else []),
        "  again: " + again + (f" --without {protection}" if protection else ""),
        "",
    ]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    sys.exit(main())
