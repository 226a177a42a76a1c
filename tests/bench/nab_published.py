"""The published results of other detectors on the Numenta Anomaly Benchmark, on both halves of our split.

    .venv/bin/python -m tests.bench.nab_published --nab DIR

``DIR`` is a checkout of NAB with its ``results`` and ``config`` folders. Each detector's alarms are its published
scores from the published threshold on, which was chosen on all files for each profile. What the halves differ by
here has nothing to do with settings of ours.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tests.bench.nab import half
from tests.bench.nabscore import PROFILES, Floats, Series, load, score_alarms

_THRESHOLDS = {"standard": "standard", "low FP": "reward_low_FP_rate", "low FN": "reward_low_FN_rate"}


def published(folder: Path, corpus: Sequence[Series]) -> dict[str, Floats]:
    """The score of every row of every file that the detector whose results are in ``folder`` gave."""
    scores = {}
    for series in corpus:
        category, name = series.name.split("/")
        with (folder / category / f"{folder.name}_{name}").open(newline="") as file:
            scores[series.name] = np.array([float(row["anomaly_score"]) for row in csv.DictReader(file)])
    return scores


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nab", type=Path, default=Path(os.environ.get("RIVERWATCH_NAB", "data/nab")))
    options = parser.parse_args()
    corpus = load(options.nab)
    parts = [corpus, *([series for series in corpus if half(series) == number] for number in (1, 2))]
    for part, title in zip(parts, ("all", "first half", "second half"), strict=True):
        print(f"{title}: {len(part)} files, {sum(len(series.windows) for series in part)} windows")
    print("standard / low FP / low FN               all            first half           second half")
    thresholds = json.loads((options.nab / "config" / "thresholds.json").read_text())
    for folder in sorted((options.nab / "results").iterdir()):
        if not folder.is_dir() or folder.name not in thresholds:
            continue
        scores = published(folder, corpus)
        line = f"{folder.name:20}"
        for part in parts:
            for profile in PROFILES:
                limit = thresholds[folder.name][_THRESHOLDS[profile]]["threshold"]
                reached = score_alarms(part, {name: score >= limit for name, score in scores.items()})[profile]
                line += f" {reached:6.1f}"
            line += "  "
        print(line.rstrip())


if __name__ == "__main__":
    main()
