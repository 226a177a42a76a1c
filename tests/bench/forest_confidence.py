"""Is a verdict as reliable as its confidence says? On series that were held back when the curve was fitted.

.venv/bin/python -m tests.bench.forest_confidence
"""

from __future__ import annotations

import argparse

import numpy as np
import numpy.typing as npt

from streams.forest import ForestSpec, open_bank
from tests.bench.forest_alarms import FIVE_MINUTES, KINDS, Floats, clean

WITHIN = 25
"""Rows in which an anomaly must alarm, and a normal stretch must not."""


def with_anomaly(series: Floats, start: int, source: np.random.Generator) -> Floats:
    """The series with a spike, a shift or a burst that begins at ``start``."""
    series = series.copy()
    spread = 1.4826 * float(np.median(np.abs(series - np.median(series))))
    spread = max(spread, 0.5 * float(np.std(series)))
    match source.integers(0, 3):
        case 0:
            series[start] += 8 * spread * source.choice((-1, 1))
        case 1:
            series[start:] += 5 * spread
        case _:
            series[start:] += source.normal(0, 5 * spread, len(series) - start)
    return series


def verdicts(series: list[Floats], start: int) -> tuple[npt.NDArray[np.bool_], float]:
    """Which series alarm in the rows from ``start`` on, and the confidence stated there."""
    length = start + WITHIN
    bank = open_bank(ForestSpec(features=1, seed=42, interval=300), len(series))
    rows = np.repeat(np.arange(len(series)), length)
    ends = np.tile(np.arange(1, length + 1) * FIVE_MINUTES, len(series))
    steps = bank.step(rows, ends, np.concatenate([one[:length] for one in series])[:, None])
    alarmed = steps.grade.reshape(-1, length)[:, start:].max(axis=1) > 0
    return alarmed, float(steps.confidence.reshape(-1, length)[:, start:].mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=60, help="series of each kind")
    parser.add_argument("--seed", type=int, default=1000)
    options = parser.parse_args()
    kinds = [kind for kind in KINDS if kind != "rare"]  # 8 sd of a constant with spikes is undefined.
    source = np.random.default_rng(options.seed)
    print("rows seen   confidence   right   (found, kept quiet)")
    for start in (32, 50, 90, 180, 350, 700, 1500, 4000):
        normal = [clean(kind, start + WITHIN, source) for kind in kinds for _ in range(options.count)]
        alarmed, stated = verdicts(normal, start)
        quiet = 1 - alarmed.mean()
        found = verdicts([with_anomaly(series, start, source) for series in normal], start)[0].mean()
        print(f"{start:9,}   {stated:10.2f}   {(found + quiet) / 2:5.2f}   ({found:.2f}, {quiet:.2f})")


if __name__ == "__main__":
    main()
