"""Anomalies of the kinds that people complain about, put into series that have none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from tests.bench.labelled.backgrounds import BACKGROUNDS, DAY_MS
from tests.bench.labelled.series import Event, Floats, Series, Times

MONDAY = 1_704_672_000_000
"""8 January 2024, 00:00 UTC."""

SEASONAL = ("smooth", "noisy", "business", "counts", "requests")
STEADY = ("gauss", "latency", "low counts")
KINDS: dict[str, tuple[str, ...]] = {
    "dip at peak": SEASONAL,
    "spike": (*SEASONAL, *STEADY, "wavering", "errors", "saw"),
    "spike at the quiet hour": SEASONAL,
    "level shift": ("smooth", "noisy", "requests", *STEADY),
    "variance burst": ("smooth", "noisy", "requests", "gauss", "wavering", "daily job"),
    "phase shift": ("smooth", "noisy", "business", "requests"),
    "flat day": ("smooth", "noisy", "business", "requests"),
    "stuck": ("smooth", "noisy", "requests", "gauss", "wavering", "saw"),
    "missing job": ("daily job",),
    "drift": ("smooth", "noisy", "requests", *STEADY, "daily job"),
    "mild excess for an hour": ("smooth", "noisy", "business", "counts", "requests", "latency"),
}
"""The kinds, and the backgrounds on which a person would call each an anomaly."""


def clean(kind: str, interval: int, rows: int, seed: int) -> Series:
    """A series of this background without anomalies."""
    starts = MONDAY + 1000 * interval * np.arange(rows)
    source = np.random.default_rng([seed, interval, list(BACKGROUNDS).index(kind)])
    return Series(f"{kind}, {interval} s, {seed}", interval, starts, BACKGROUNDS[kind](starts, source))


def labelled(kind: str, interval: int, rows: int, seed: int) -> Series:
    """A series of this background with an anomaly of each kind that suits it in turn, two days or 400 rows apart."""
    series = clean(kind, interval, rows, seed)
    kinds = [name for name, suits in KINDS.items() if kind in suits]
    source = np.random.default_rng([seed, interval, 99])
    a_day = max(24, DAY_MS // (1000 * interval))
    apart = max(400, min(2 * a_day, rows // 12))
    values, events = series.values.copy(), []
    source.shuffle(kinds)
    for number, about in enumerate(range(max(rows // 4, 700), rows - a_day - apart, apart)):
        what = kinds[number % len(kinds)]
        place = about + int(source.integers(0, apart // 4))
        event = inject(values, series.values, series.starts, place, what, source)
        if event is not None:
            events.append(event)
    return replace(series, values=values, events=tuple(events))


def inject(
    values: Floats, normal: Floats, starts: Times, about: int, kind: str, source: np.random.Generator
) -> Event | None:
    """Put an anomaly into ``values``, at ``about`` or at the next hour that suits it. None: there is no such hour."""
    interval = int(starts[1] - starts[0]) // 1000
    a_day = max(24, 86_400 // interval)
    spread = float(np.std(np.diff(normal))) / np.sqrt(2) + 1e-9
    width = float(np.quantile(normal, 0.98) - np.quantile(normal, 0.02)) + spread
    low = float(normal.min())
    hour = max(2, 3600 // interval)
    ahead = slice(about, min(len(values), about + a_day))
    if kind == "dip at peak":
        place = about + int(np.argmax(normal[ahead]))
        return _put(values, place, max(2, hour // 3), lambda old: low + 0.05 * (old - low), kind)
    if kind == "spike":
        return _put(values, about, 1, lambda old: old + max(0.8 * width, 10 * spread), kind)
    if kind == "spike at the quiet hour":
        place = about + int(np.argmin(normal[ahead]))
        return _put(values, place, max(1, hour // 6), lambda old: old + max(0.45 * width, 5 * spread), kind)
    if kind == "level shift":
        lift = source.choice((-1, 1)) * max(0.5 * width, 4 * spread)
        return _put(values, about, min(40, 4 * hour), lambda old: old + lift, kind)
    if kind == "variance burst":
        shake = max(0.35 * width, 5 * spread)
        return _put(values, about, min(40, 3 * hour), lambda old: old + source.normal(0, shake, len(old)), kind)
    if kind == "phase shift":
        moved = np.roll(normal, a_day // 4)
        return _put(values, about, a_day, lambda old: moved[about : about + len(old)], kind)
    if kind == "flat day":
        middle = float(normal[ahead].mean())
        return _put(values, about, a_day, lambda old: middle + source.normal(0, spread, len(old)), kind)
    if kind == "stuck":
        return _put(values, about, max(30, min(60, 4 * hour)), lambda old: np.full(len(old), old[0]), kind)
    if kind == "missing job":
        runs = about + np.flatnonzero(normal[ahead] > np.median(normal) + 0.6 * width)
        if not len(runs):
            return None
        base = float(np.median(normal))
        return _put(values, int(runs[0]), len(runs), lambda old: base + source.normal(0, spread / 2, len(old)), kind)
    if kind == "drift":
        return _put(values, about, a_day, lambda old: old + np.linspace(0, max(width, 6 * spread), len(old)), kind)
    lift = max(0.15 * width, 2.5 * spread)
    return _put(values, about, max(3, hour), lambda old: old + lift, kind)


def _put(values: Floats, first: int, rows: int, change: Callable[[Floats], Floats], kind: str) -> Event:
    part = slice(first, min(len(values), first + rows))
    values[part] = change(values[part])
    return Event(part.start, part.stop - 1, kind)


def sped_up(kind: str, seed: int) -> Series:
    """Six days of 240 one-second windows, and an outage on each of the last three.

    ``kind`` is ``requests`` (they fall to 0 at the peak of the day) or ``cpu`` (99 % while nobody needs it).
    """
    a_day, days = 240, 6
    row = np.arange(a_day * days)
    source = np.random.default_rng([seed, 7])
    curve = (1 - np.cos(2 * np.pi * row / a_day)) / 2
    values = source.poisson(20 + 180 * curve).astype(float)
    if kind == "cpu":
        values = np.clip(20 + 40 * curve + source.normal(0, 3, len(row)), 0, 100)
    events = []
    for number in range(3, days):
        first = number * a_day + (110 if kind == "requests" else int(source.integers(0, 20)))
        values[first : first + 12] = 0 if kind == "requests" else 99 + source.normal(0, 0.3, 12)
        events.append(Event(first, first + 11, kind))
    return Series(f"sped up {kind}, {seed}", 1, MONDAY + 1000 * row, values, tuple(events))
