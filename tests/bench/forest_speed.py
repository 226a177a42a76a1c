"""Rows per second of scoring, learning, threshold and grade, against River in the same run; memory; checkpoints.

.venv/bin/python -m tests.bench.forest_speed
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from streams.forest import ForestBank, ForestSpec, open_bank

Rows = npt.NDArray[np.int64]
MINUTE = 60_000
SETTLED = 400
"""Rows that each model has seen before the clock starts: its window is full."""


def settled(entities: int, kind: str, features: int) -> ForestBank:
    """A bank whose models stand at different places in their chapters."""
    spec = ForestSpec.from_document({"type": kind}, features=features, seed=7)
    few = min(entities, 2000)
    bank = open_bank(spec, entities)
    source = np.random.default_rng(1)
    for row in range(SETTLED):
        bank.step(np.arange(few), np.full(few, row * MINUTE), source.normal(10, 2, (few, features)))
    for model in range(0, few, 20):
        extra = np.repeat(np.arange(model, model + 20), source.integers(0, 250, 20))
        bank.step(extra, np.full(len(extra), SETTLED * MINUTE), source.normal(10, 2, (len(extra), features)))
    states = bank.dump(np.arange(few))
    for start in range(few, entities, few):
        rows = np.arange(start, min(entities, start + few))
        bank.load(rows, states[: len(rows)])
    return bank


def uniform(entities: int, rows: int, source: np.random.Generator) -> Rows:
    return source.integers(0, entities, rows)


def zipf(entities: int, rows: int, source: np.random.Generator) -> Rows:
    return source.zipf(1.3, rows) % entities


def hot(entities: int, rows: int, source: np.random.Generator) -> Rows:
    return np.zeros(rows, np.int64)


def rate(bank: ForestBank, draw: Callable[[int, int, np.random.Generator], Rows], batch: int, rows: int) -> float:
    """Rows per second; the best of three."""
    source = np.random.default_rng(2)
    best = 0.0
    for _ in range(3):
        models = draw(bank.capacity, rows, source)
        values = source.normal(10, 2, (rows, bank.spec.features))
        ends = np.full(rows, 1000 * MINUTE)
        began = time.perf_counter()
        for start in range(0, rows, batch):
            part = slice(start, start + batch)
            bank.step(models[part], ends[part], values[part])
        best = max(best, rows / (time.perf_counter() - began))
    return best


def river_rate(features: int, rows: int = 20_000) -> float:
    """Rows per second of River's own pipeline, score and learn; the best of three."""
    from river.anomaly import HalfSpaceTrees
    from river.preprocessing import MinMaxScaler

    model = MinMaxScaler() | HalfSpaceTrees(seed=7)
    source = np.random.default_rng(3)
    best = 0.0
    for _ in range(3):
        values = [
            {f"f{place}": float(value) for place, value in enumerate(row)}
            for row in source.normal(10, 2, (rows, features))
        ]
        began = time.perf_counter()
        for row in values:
            model.score_one(row)
            model.learn_one(row)
        best = max(best, rows / (time.perf_counter() - began))
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entities", type=int, default=100_000)
    parser.add_argument("--rows", type=int, default=400_000)
    parser.add_argument("--features", type=int, default=1)
    parser.add_argument("--type", default="default", choices=["default", "river"])
    options = parser.parse_args()
    river = river_rate(options.features)
    print(f"River, one model: {river:,.0f} rows/s")
    bank = settled(options.entities, options.type, options.features)
    for title, draw, batch in (
        ("uniform", uniform, 1024),
        ("uniform", uniform, 4096),
        ("uniform", uniform, 16384),
        ("Zipf 1.3", zipf, 8192),
        ("one hot entity", hot, 8192),
    ):
        reached = rate(bank, draw, batch, options.rows)
        print(f"{title:15} batch {batch:6,}: {reached:10,.0f} rows/s, {reached / river:5.1f} x River")
    print(f"memory: {bank.bytes_per_model:,} bytes a model")
    rows = np.arange(min(20_000, bank.capacity))
    began = time.perf_counter()
    states = bank.dump(rows)
    dumped = time.perf_counter()
    bank.load(rows, states)
    loaded = time.perf_counter()
    sizes = [len(state) for state in states]
    print(
        f"checkpoint: {np.mean(sizes):,.0f} bytes (at most {max(sizes):,}), "
        f"dump {(dumped - began) / len(rows) * 1e6:.1f} us, load {(loaded - dumped) / len(rows) * 1e6:.1f} us"
    )


if __name__ == "__main__":
    main()
