"""Where our default loses points on the Numenta Anomaly Benchmark, and how far another threshold would help.

    .venv/bin/python -m tests.bench.nab_losses --nab DIR

For each file: its windows, those that were missed, alarms outside of windows, and the points lost in the standard
profile (a missed window loses 2); the same for the threshold that would have suited this very file best. Nobody can
know that one beforehand: it tells what the scores hold, and what only the threshold loses.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from streams.forest import ForestSpec, incidents, open_bank
from tests.bench.nab import half
from tests.bench.nabscore import PROFILES, Flags, Floats, Series, credit, load

FACTORS = np.geomspace(0.3, 3.0, 47)
"""Multiples of the model's own threshold that are tried for each file."""


def severities(corpus: Sequence[Series], seed: int) -> list[Floats]:
    """The score of every row of every file as a multiple of the model's threshold."""
    lengths = [len(series.values) for series in corpus]
    steps = open_bank(ForestSpec(features=1, seed=seed, interval=300), len(corpus)).step(
        np.repeat(np.arange(len(corpus)), lengths),
        np.concatenate([series.times for series in corpus]),
        np.concatenate([series.values for series in corpus])[:, None],
    )
    severity = np.where(steps.threshold > 0, steps.score / np.maximum(steps.threshold, 1e-9), 0.0)
    return np.split(severity, np.cumsum(lengths)[:-1])


def outcome(series: Series, flags: Flags) -> tuple[float, int, int]:
    """Points lost, windows missed and alarms outside of windows."""
    window, value = credit(series)
    live = flags & (np.arange(len(flags)) >= series.probation)
    outside = live & (window < 0)
    profile = PROFILES["standard"]
    lost, missed = 0.0 - profile.false_alarm * float(value[outside].sum()), 0
    for number in range(len(series.windows)):
        hits = value[live & (window == number)]
        missed += not len(hits)
        lost += 1 - float(hits.max()) if len(hits) else 1 + profile.miss
    return lost, missed, int(outside.sum())


def raised(severity: Floats) -> Flags:
    """Which rows alarm, with the default quiet period."""
    n = len(severity)
    row = np.arange(n)
    state, one = incidents.unseen(1), np.zeros(n, np.int64)
    return incidents.judge(state, np.zeros(1), one, row, row, severity, 200, lambda event: False).raised


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nab", type=Path, default=Path(os.environ.get("RIVERWATCH_NAB", "data/nab")))
    parser.add_argument("--seed", type=int, default=42, help="of the trees")
    options = parser.parse_args()
    corpus = load(options.nab)
    by_file = severities(corpus, options.seed)
    print("                                             own threshold             | best threshold of the file")
    for number in (1, 2):
        total = np.zeros(7)
        for series, severity in zip(corpus, by_file, strict=True):
            if half(series) != number:
                continue
            own = outcome(series, raised(severity))
            best = min(outcome(series, raised(severity / factor)) for factor in FACTORS)
            total += [len(series.windows), *own, *best]
            print(_line(series.name.split("/")[-1], [len(series.windows), *own, *best]))
        print(_line(f"half {number}", total.tolist()))
        print(
            f"standard score {_score(total[0], total[1]):.1f}, with the best threshold {_score(total[0], total[4]):.1f}"
        )


def _line(title: str, numbers: Sequence[float]) -> str:
    windows, *rest = numbers
    own, best = (
        f"lost {lost:5.2f}, missed {missed:2.0f}, outside {out:3.0f}" for lost, missed, out in (rest[:3], rest[3:])
    )
    return f"{title[:40]:40} {windows:2.0f} windows: {own} | {best}"


def _score(windows: float, lost: float) -> float:
    return 100 * (1 - lost / (2 * windows))


if __name__ == "__main__":
    main()
