"""False alarms on eight kinds of clean series, and recall of four kinds of injected anomalies, same settings.

.venv/bin/python -m tests.bench.forest_alarms
"""

from __future__ import annotations

import argparse

import numpy as np
import numpy.typing as npt

from streams.forest import ForestSpec, open_bank
from streams.forest.suppression import read_rules

Floats = npt.NDArray[np.float64]

KINDS = ("gauss", "season", "lognormal", "pareto", "poisson", "ar", "walk", "rare")
INJECTIONS = ("spike", "shift", "drop", "burst")
FIVE_MINUTES = 300_000
SETTLED = 600
"""Rows that a model has to get used to its series."""


def clean(kind: str, n: int, source: np.random.Generator) -> Floats:
    """A series of ``n`` rows without anomalies; the season is a day of five-minute rows."""
    if kind == "gauss":
        return source.normal(10, 1, n)
    if kind == "season":
        return 50 + 20 * np.sin(2 * np.pi * np.arange(n) / 288) + source.normal(0, 2, n)
    if kind == "lognormal":
        return source.lognormal(0, 0.7, n)
    if kind == "pareto":
        return source.pareto(2.5, n).astype(np.float64)
    if kind == "poisson":
        return source.poisson(3, n).astype(float)
    if kind == "rare":
        return np.where(source.random(n) < 0.01, 5.0, 0.0)
    steps = source.normal(0, 1, n)
    if kind == "walk":
        return np.cumsum(steps).astype(np.float64)
    for row in range(1, n):
        steps[row] += 0.95 * steps[row - 1]
    return steps


def inject(series: Floats, kind: str, source: np.random.Generator) -> tuple[Floats, list[int]]:
    """The series with one anomaly about every 500 rows, and where each begins."""
    series = series.copy()
    spread = 1.4826 * float(np.median(np.abs(series - np.median(series))))
    spread = max(spread, 0.5 * float(np.std(series)))
    places = []
    for about in range(2000, len(series) - 100, 500):
        place = about + int(source.integers(0, 300))
        if kind == "spike":
            series[place] += 8 * spread * source.choice((-1, 1))
        elif kind == "shift":
            series[place : place + 60] += 5 * spread
        elif kind == "drop":
            series[place : place + 20] = series[max(0, place - 300) : place].min() - 3 * spread
        else:
            series[place : place + 40] += source.normal(0, 5 * spread, 40)
        places.append(place)
    return series, places


def grades(series: list[Floats], **settings: object) -> list[Floats]:
    """The grades of some series, one model each."""
    bank = open_bank(ForestSpec(features=1, seed=42, interval=300, **settings), len(series))  # type: ignore[arg-type]
    rows = np.repeat(np.arange(len(series)), [len(one) for one in series])
    ends = np.concatenate([np.arange(1, len(one) + 1) * FIVE_MINUTES for one in series])
    outcome = bank.step(rows, ends, np.concatenate(series)[:, None]).grade
    return np.split(outcome, np.cumsum([len(one) for one in series])[:-1])


def false_alarms(count: int = 20, length: int = 5000, seed: int = 0, **settings: object) -> dict[str, float]:
    """Alarms per 10,000 clean rows of each kind."""
    source = np.random.default_rng(seed)
    rates = {}
    for kind in KINDS:
        outcome = grades([clean(kind, length, source) for _ in range(count)], **settings)
        rates[kind] = 1e4 * float(np.mean([(grade[SETTLED:] > 0).mean() for grade in outcome]))
    return rates


def recall(count: int = 10, length: int = 6000, seed: int = 0, **settings: object) -> dict[str, float]:
    """The share of injected anomalies that alarm within 25 rows, over Gaussian, seasonal and count series."""
    source = np.random.default_rng(seed)
    found = {}
    for injection in INJECTIONS:
        cases = [
            inject(clean(kind, length, source), injection, source)
            for kind in ("gauss", "season", "poisson")
            for _ in range(count)
        ]
        outcome = grades([series for series, _ in cases], **settings)
        hits = [
            bool((grade[place : place + 25] > 0).any())
            for grade, (_, places) in zip(outcome, cases, strict=True)
            for place in places
        ]
        found[injection] = float(np.mean(hits))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0, help="of the series")
    parser.add_argument("--sensitivity", type=float, default=1.0)
    parser.add_argument("--no-seasonality", dest="seasonality", action="store_false")
    parser.add_argument("--default-rules", action="store_true", help="the rules of detectors that name none")
    options = parser.parse_args()
    settings = {
        "sensitivity": options.sensitivity,
        "seasonality": options.seasonality,
        "rules": read_rules(None, ["value"]) if options.default_rules else (),
    }
    rates = false_alarms(seed=options.seed, **settings)
    for kind, rate in rates.items():
        print(f"false alarms per 10,000 clean rows, {kind:10} {rate:6.1f}")
    print(f"false alarms per 10,000 clean rows, mean       {np.mean(list(rates.values())):6.1f}")
    for injection, share in recall(seed=options.seed, **settings).items():
        print(f"recall of an injected {injection:7} {share:.2f}")


if __name__ == "__main__":
    main()
