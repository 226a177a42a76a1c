"""Series without anomalies, of the kinds that people watch."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tests.bench.labelled.series import Flags, Floats, Times

DAY_MS = 86_400_000
Background = Callable[[Times, np.random.Generator], Floats]


def day(starts: Times) -> Floats:
    """The time of day, in [0, 1)."""
    return (starts % DAY_MS) / DAY_MS


def weekend(starts: Times) -> Flags:
    """Which rows lie on a weekend."""
    return (starts // DAY_MS + 3) % 7 >= 5


def wave(starts: Times, source: np.random.Generator) -> Floats:
    """A day's curve in [0, 1]: low in the night, with a second, smaller wave of its own."""
    phase = day(starts) + source.uniform(-0.1, 0.1)
    second = source.uniform(0, 0.3)
    curve = 1 - np.cos(2 * np.pi * phase) + second * np.sin(4 * np.pi * phase + source.uniform(0, 6))
    return (curve - curve.min()) / (curve.max() - curve.min() + 1e-12)


def autoregressive(n: int, share: float, source: np.random.Generator) -> Floats:
    """Noise of variance 1 that keeps ``share`` of what it was."""
    steps = source.normal(0, np.sqrt(1 - share**2), n)
    for row in range(1, n):
        steps[row] += share * steps[row - 1]
    return steps


def smooth(starts: Times, source: np.random.Generator) -> Floats:
    weeks = np.where(weekend(starts), source.uniform(0.5, 0.9), 1.0)
    return (10 + 90 * wave(starts, source) * weeks) * (1 + 0.01 * autoregressive(len(starts), 0.8, source))


def noisy(starts: Times, source: np.random.Generator) -> Floats:
    return 50 + 40 * wave(starts, source) + source.uniform(5, 12) * autoregressive(len(starts), 0.3, source)


def business(starts: Times, source: np.random.Generator) -> Floats:
    hour = 24 * day(starts)
    opens, closes = source.uniform(7, 9), source.uniform(16, 19)
    open_ = (hour >= opens) & (hour < closes) & ~weekend(starts)
    return np.where(open_, 150 + 10 * source.normal(0, 1, len(starts)), 8 + source.normal(0, 0.5, len(starts)))


def counts(starts: Times, source: np.random.Generator) -> Floats:
    return source.poisson(source.uniform(3, 8) + source.uniform(20, 80) * wave(starts, source)).astype(float)


def requests(starts: Times, source: np.random.Generator) -> Floats:
    rate = 200 + 400 * wave(starts, source) * np.where(weekend(starts), 0.7, 1.0)
    return rate * np.exp(0.08 * autoregressive(len(starts), 0.9, source))


def gauss(starts: Times, source: np.random.Generator) -> Floats:
    return source.normal(100, source.uniform(2, 10), len(starts))


def wavering(starts: Times, source: np.random.Generator) -> Floats:
    return 200 + 20 * autoregressive(len(starts), source.uniform(0.9, 0.98), source)


def latency(starts: Times, source: np.random.Generator) -> Floats:
    return 20 * source.lognormal(0, source.uniform(0.2, 0.5), len(starts))


def errors(starts: Times, source: np.random.Generator) -> Floats:
    seldom = source.random(len(starts)) < source.uniform(0.01, 0.05)
    return np.where(seldom, source.geometric(0.5, len(starts)), 0).astype(float)


def low_counts(starts: Times, source: np.random.Generator) -> Floats:
    return source.poisson(source.uniform(0.5, 4), len(starts)).astype(float)


def daily_job(starts: Times, source: np.random.Generator) -> Floats:
    since = (day(starts) - source.uniform(0, 0.9)) * DAY_MS
    interval = int(starts[1] - starts[0])
    running = (since >= 0) & (since < max(interval, 20 * 60_000))
    return 140 + 10 * source.normal(0, 1, len(starts)) + np.where(running, 550 + 10 * source.normal(0, 1), 0)


def saw(starts: Times, source: np.random.Generator) -> Floats:
    rows = int(source.integers(12, 25))
    return 60 + 100 * (np.arange(len(starts)) % rows) / rows + 3 * source.normal(0, 1, len(starts))


def bursts(starts: Times, source: np.random.Generator) -> Floats:
    n = len(starts)
    edges = np.cumsum(source.geometric(1 / source.uniform(20, 40), n))
    busy = np.searchsorted(edges, np.arange(n), side="right") % 3 == 2
    return np.where(busy, 80, 6) + source.normal(0, 1, n) * np.where(busy, 3, 0.5)


def pareto(starts: Times, source: np.random.Generator) -> Floats:
    return 10 * source.pareto(2.5, len(starts))


def walk(starts: Times, source: np.random.Generator) -> Floats:
    return np.cumsum(source.normal(0, 1, len(starts)))


def steps(starts: Times, source: np.random.Generator) -> Floats:
    levels = source.choice([20.0, 40.0, 60.0, 80.0], len(starts))
    number = np.cumsum(source.random(len(starts)) < 1 / 150)
    return levels[number] + source.normal(0, 2, len(starts))


def shifts_of_eight_hours(starts: Times, source: np.random.Generator) -> Floats:
    phase = day(starts) * 3 % 1
    return 100 + 60 * np.sin(2 * np.pi * phase) + 3 * source.normal(0, 1, len(starts))


BACKGROUNDS: dict[str, Background] = {
    "smooth": smooth,
    "noisy": noisy,
    "business": business,
    "counts": counts,
    "requests": requests,
    "gauss": gauss,
    "wavering": wavering,
    "latency": latency,
    "errors": errors,
    "low counts": low_counts,
    "daily job": daily_job,
    "saw": saw,
    "bursts": bursts,
    "pareto": pareto,
    "walk": walk,
    "steps": steps,
    "shifts of 8 h": shifts_of_eight_hours,
}
"""By name: each draws a series for window starts [n] from a source of random numbers."""
