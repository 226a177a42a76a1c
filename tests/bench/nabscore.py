"""The scorer of the Numenta Anomaly Benchmark, version 1.1: windows, sigmoid credit, one threshold for all files.

A detection inside a labelled window earns more the earlier it is, only the best one of a window counts, a missed
window costs, and so does every detection outside, less when it follows shortly after a window. 0 is what a
detector that never alarms gets, 100 a perfect one. (Lavin and Ahmad, ICMLA 2015.)
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Profile:
    """What a hit earns, a false alarm costs and a miss costs."""

    hit: float
    false_alarm: float
    miss: float


PROFILES = {
    "standard": Profile(1.0, 0.11, 1.0),
    "low FP": Profile(1.0, 0.22, 1.0),
    "low FN": Profile(1.0, 0.11, 2.0),
}


@dataclass(frozen=True)
class Series:
    """One file: times in epoch ms, values, and the labelled windows as first and last row, both included."""

    name: str
    times: npt.NDArray[np.int64]
    values: Floats
    windows: tuple[tuple[int, int], ...]

    @property
    def probation(self) -> int:
        """So many rows at the start are not scored."""
        return math.ceil(min(math.floor(0.15 * len(self.values)), 0.15 * 5000))


def load(root: Path) -> list[Series]:
    """Read the corpus: ``data/*/*.csv`` and ``labels/combined_windows.json`` below ``root``."""
    labels = json.loads((root / "labels" / "combined_windows.json").read_text())
    return [_read(root / "data" / name, name, windows) for name, windows in sorted(labels.items())]


def _read(path: Path, name: str, windows: Sequence[tuple[str, str]]) -> Series:
    with path.open(newline="") as file:
        rows = [(_milliseconds(row["timestamp"]), float(row["value"])) for row in csv.DictReader(file)]
    times = np.array([time for time, _ in rows], np.int64)
    first_row: dict[int, int] = {}
    for place, time in enumerate(times.tolist()):
        first_row.setdefault(time, place)
    bounds = tuple((first_row[_milliseconds(a)], first_row[_milliseconds(b)]) for a, b in windows)
    return Series(name, times, np.array([value for _, value in rows]), bounds)


def _milliseconds(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def credit(series: Series) -> tuple[npt.NDArray[np.int64], Floats]:
    """For every row the window that it lies in (-1: none) and the credit of a detection there, in [-1, 1]."""
    n = len(series.values)
    window = np.full(n, -1)
    value = np.full(n, -1.0)
    for number, (first, last) in enumerate(series.windows):
        width = last - first + 1
        inside = np.arange(first, last + 1)
        window[inside] = number
        value[inside] = _sigmoid(-(last - inside + 1) / width) / _sigmoid(np.array(-1.0))
        following = series.windows[number + 1][0] if number + 1 < len(series.windows) else n
        after = np.arange(last + 1, following)
        value[after] = _sigmoid((after - last) / (width - 1))
    return window, value


def _sigmoid(position: Floats) -> Floats:
    return np.where(position > 3, -1.0, 2 / (1 + np.exp(5 * np.minimum(position, 3.0))) - 1)


def score_alarms(corpus: Sequence[Series], alarms: Mapping[str, Flags]) -> dict[str, float]:
    """The normalised score of each profile for these alarms [rows] of each file."""
    return {name: _normal(corpus, profile, _raw(corpus, alarms, profile)) for name, profile in PROFILES.items()}


def _raw(corpus: Sequence[Series], alarms: Mapping[str, Flags], profile: Profile) -> float:
    total = 0.0
    for series in corpus:
        window, value = credit(series)
        alarm = alarms[series.name].copy()
        alarm[: series.probation] = False
        total += profile.false_alarm * float(value[alarm & (window < 0)].sum())
        for number, (_, last) in enumerate(series.windows):
            if last < series.probation:
                continue
            hits = value[alarm & (window == number)]
            total += profile.hit * float(hits.max()) if len(hits) else -profile.miss
    return total


def _normal(corpus: Sequence[Series], profile: Profile, raw: float) -> float:
    windows = sum(len(series.windows) for series in corpus)
    return 100 * (raw + profile.miss * windows) / (windows * (profile.hit + profile.miss))


def score_at_best_threshold(corpus: Sequence[Series], scores: Mapping[str, Floats]) -> dict[str, float]:
    """The normalised score of each profile at the threshold that suits the whole corpus best, as NAB does it."""
    everything = []
    live = 0
    for series in corpus:
        window, value = credit(series)
        scored = np.arange(len(value)) >= series.probation
        number = np.where(window < 0, -1, window + live)[scored]
        live += len(series.windows)
        everything.append((scores[series.name][scored], number, value[scored]))
    score, number, value = (np.concatenate(column) for column in zip(*everything, strict=True))
    falling = np.argsort(-score, kind="stable")
    score, number, value = score[falling], number[falling], value[falling]
    is_last_of_its_score = np.append(score[1:] != score[:-1], True)
    counted = len(set(number[number >= 0].tolist()))
    best = {}
    for name, profile in PROFILES.items():
        gain = np.where(number < 0, value * profile.false_alarm, 0.0)
        reached: dict[int, float] = {}
        for place in np.flatnonzero(number >= 0):
            key = int(number[place])
            worth = profile.hit * float(value[place])
            before = reached.get(key, -profile.miss)
            if key not in reached or worth > before:
                gain[place] = worth - before
                reached[key] = worth
        totals = np.cumsum(gain)[is_last_of_its_score] - profile.miss * counted
        best[name] = _normal(corpus, profile, max(-profile.miss * counted, float(totals.max())))
    return best
