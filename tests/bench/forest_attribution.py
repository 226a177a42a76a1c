"""How often the feature into which an anomaly was injected is ranked first.

.venv/bin/python -m tests.bench.forest_attribution
"""

from __future__ import annotations

import argparse

import numpy as np

from streams.forest import ForestSpec, open_bank

SETTLED = 2000


def ranked_first(features: int, trials: int, deviations: float, correlated: bool, seed: int) -> tuple[float, float]:
    """The share of injections detected, and among those the share that were put down to the right feature."""
    source = np.random.default_rng(seed)
    bank = open_bank(ForestSpec(features=features, seed=42, interval=300), trials)
    scale = 10.0 ** source.uniform(-2, 3, (trials, features))
    noise = source.normal(0, 1, (SETTLED + 1, trials, features))
    if correlated:
        factors = source.normal(0, 1, (trials, features, 2))
        driven = np.einsum("ntk,tfk->ntf", source.normal(0, 1, (SETTLED + 1, trials, 2)), factors)
        noise = (driven + np.sqrt(0.3) * noise) / np.sqrt((factors**2).sum(axis=2) + 0.3)
    injected = source.integers(0, features, trials)
    noise[SETTLED, np.arange(trials), injected] += deviations * source.choice((-1.0, 1.0), trials)
    for row in range(SETTLED):
        bank.step(np.arange(trials), np.full(trials, row * 300_000), noise[row] * scale)
    steps = bank.step(np.arange(trials), np.full(trials, SETTLED * 300_000), noise[SETTLED] * scale)
    right = [
        int(np.argmax(explanation.attribution)) == injected[event] for event, explanation in steps.explanations.items()
    ]
    return len(right) / trials, float(np.mean(right))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=400)
    parser.add_argument("--deviations", type=float, default=6.0)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    for correlated in (False, True):
        for features in (3, 5, 10):
            detected, right = ranked_first(features, options.trials, options.deviations, correlated, options.seed)
            kind = "correlated" if correlated else "independent"
            print(f"{features:2} {kind:11} features: detected {detected:.2f}, ranked first {100 * right:5.1f} %")


if __name__ == "__main__":
    main()
