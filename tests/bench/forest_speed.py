"""Rows per second of scoring, learning, threshold and grade on each kernel, against River in the same run; memory;
checkpoints. Seconds are those of the processor: what else runs matters less.

.venv/bin/python -m tests.bench.forest_speed
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from streams.forest import ForestBank, ForestSpec, kernel, open_bank

Rows = npt.NDArray[np.int64]
MINUTE = 60_000
SETTLED = 400
"""Rows that each model has seen before the clock starts: its window is full."""


def settled(entities: int, kind: str, features: int, kernels: Sequence[str]) -> dict[str, ForestBank]:
    """A bank for each kernel, in the same state: their models stand at different places in their chapters."""
    spec = ForestSpec.from_document({"type": kind}, features=features, seed=7)
    few = min(entities, 2000)
    young = open_bank(spec, few)
    source = np.random.default_rng(1)
    for row in range(SETTLED):
        young.step(np.arange(few), np.full(few, row * MINUTE), source.normal(10, 2, (few, features)))
    for model in range(0, few, 20):
        extra = np.repeat(np.arange(model, model + 20), source.integers(0, 250, 20))
        young.step(extra, np.full(len(extra), SETTLED * MINUTE), source.normal(10, 2, (len(extra), features)))
    states = young.dump(np.arange(few))
    banks = {}
    for name in kernels:
        kernel.choose(name)
        bank = banks[name] = open_bank(spec, entities)
        for start in range(0, entities, few):
            rows = np.arange(start, min(entities, start + few))
            bank.load(rows, states[: len(rows)])
    return banks


def uniform(entities: int, rows: int, source: np.random.Generator) -> Rows:
    return source.integers(0, entities, rows)


def zipf(entities: int, rows: int, source: np.random.Generator) -> Rows:
    return source.zipf(1.3, rows) % entities


def hot(entities: int, rows: int, source: np.random.Generator) -> Rows:
    return np.zeros(rows, np.int64)


def rates(
    banks: dict[str, ForestBank], draw: Callable[[int, int, np.random.Generator], Rows], batch: int, rows: int
) -> dict[str, float]:
    """Rows per second of processor time of each bank, in turns; the best of three."""
    source = np.random.default_rng(2)
    best = dict.fromkeys(banks, 0.0)
    for _ in range(3):
        (bank, *_) = banks.values()
        models = draw(bank.capacity, rows, source)
        values = source.normal(10, 2, (rows, bank.spec.features))
        ends = np.full(rows, 1000 * MINUTE)
        for name, bank in banks.items():
            began = time.process_time()
            for start in range(0, rows, batch):
                part = slice(start, start + batch)
                bank.step(models[part], ends[part], values[part])
            best[name] = max(best[name], rows / (time.process_time() - began))
    return best


def river_rate(features: int, rows: int = 20_000) -> float:
    """Rows per second of processor time of River's own pipeline, score and learn; the best of three."""
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
        began = time.process_time()
        for row in values:
            model.score_one(row)
            model.learn_one(row)
        best = max(best, rows / (time.process_time() - began))
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entities", type=int, default=100_000)
    parser.add_argument("--rows", type=int, default=400_000)
    parser.add_argument("--features", type=int, default=1)
    parser.add_argument("--type", default="default", choices=["default", "river"])
    options = parser.parse_args()
    names = ["numpy"]
    if options.type == "default":
        missing = kernel.why_not_compiled()
        names += [] if missing else ["compiled"]
        if missing:
            print(f"no compiled kernel: {missing}")
    banks = settled(options.entities, options.type, options.features, names)
    river = river_rate(options.features)
    reached = [
        (title, batch, rates(banks, draw, batch, options.rows))
        for title, draw, batch in (
            ("uniform", uniform, 1024),
            ("uniform", uniform, 4096),
            ("uniform", uniform, 16384),
            ("Zipf 1.3", zipf, 8192),
            ("one hot entity", hot, 8192),
        )
    ]
    river = max(river, river_rate(options.features))
    print(f"River, one model: {river:,.0f} rows/s")
    for title, batch, by_kernel in reached:
        texts = [f"{name} {rate:10,.0f} rows/s, {rate / river:5.1f} x River" for name, rate in by_kernel.items()]
        print(f"{title:15} batch {batch:6,}:  {'   '.join(texts)}")
    (bank, *_) = banks.values()
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
