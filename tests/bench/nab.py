"""Our default on the Numenta Anomaly Benchmark: one setting for all files, its own threshold.

    .venv/bin/python -m tests.bench.nab --nab DIR

``DIR`` is a checkout of NAB (github.com/numenta/NAB): its ``data`` and ``labels`` folders are read. Settings were
chosen on the files of the first half (see ``half``); the second half is what a stranger may expect.
"""

from __future__ import annotations

import argparse
import os
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from streams.forest import ForestSpec, open_bank
from streams.forest.suppression import read_rules
from tests.bench.nabscore import Flags, Floats, Series, load, score_alarms, score_at_best_threshold


def half(series: Series) -> int:
    """1 for files on which settings were chosen, 2 for the others: by a hash of the name."""
    return 1 + zlib.crc32(series.name.encode()) % 2


def detect(corpus: Sequence[Series], seed: int, **settings: object) -> dict[str, Floats]:
    """The grade of every row of every file."""
    grades = {}
    for series in corpus:
        interval = int(np.median(np.diff(series.times)) // 1000)
        bank = open_bank(ForestSpec(features=1, seed=seed, interval=interval, **settings), 1)  # type: ignore[arg-type]
        rows = np.zeros(len(series.values), np.int64)
        ends = series.times + 1000 * interval
        grades[series.name] = bank.step(rows, ends, series.values[:, None]).grade
    return grades


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nab", type=Path, default=Path(os.environ.get("RIVERWATCH_NAB", "data/nab")))
    parser.add_argument("--seeds", type=int, nargs="+", default=[42, 7, 19, 1, 2], help="of the trees")
    parser.add_argument("--sensitivity", type=float, default=1.0)
    parser.add_argument("--no-seasonality", dest="seasonality", action="store_false")
    parser.add_argument("--default-rules", action="store_true", help="the rules of detectors that name none")
    options = parser.parse_args()
    rules = read_rules(None, ["value"]) if options.default_rules else ()
    corpus = load(options.nab)
    parts = {
        "all": corpus,
        "first half (chosen on)": [series for series in corpus if half(series) == 1],
        "second half": [series for series in corpus if half(series) == 2],
    }
    reached: dict[str, list[list[float]]] = {title: [] for title in [*parts, "all, tuned threshold"]}
    for seed in options.seeds:
        grades = detect(corpus, seed, sensitivity=options.sensitivity, seasonality=options.seasonality, rules=rules)
        alarms: dict[str, Flags] = {name: grade > 0 for name, grade in grades.items()}
        for title, part in parts.items():
            reached[title].append(list(score_alarms(part, alarms).values()))
        reached["all, tuned threshold"].append(list(score_at_best_threshold(corpus, grades).values()))
    print(f"mean of {len(options.seeds)} seeds        standard  low FP  low FN")
    for title, scores in reached.items():
        spread = f"(standard from {min(scores)[0]:.1f} to {max(scores)[0]:.1f})"
        print(f"{title:22} " + "  ".join(f"{score:7.1f}" for score in np.mean(scores, axis=0)), spread)


if __name__ == "__main__":
    main()
