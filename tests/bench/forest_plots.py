"""The plots of docs/detection.md.

.venv/bin/python -m tests.bench.forest_plots
"""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np

mpl.use("Agg")
from matplotlib import pyplot

from streams.forest import ForestSpec, Steps, open_bank
from streams.forest.structure import draw_river
from tests.bench.forest_alarms import FIVE_MINUTES, Floats, clean

IMAGES = Path(__file__).parents[2] / "docs" / "images"
BLUE, RED, GREY = "#2b5c8a", "#c62828", "#9aa5b1"


def detect(series: Floats, **settings: object) -> Steps:
    """The outcome of one model over a series of five-minute rows."""
    bank = open_bank(ForestSpec(features=1, seed=42, **settings), 1)  # type: ignore[arg-type]
    n = len(series)
    return bank.step(np.zeros(n, np.int64), np.arange(1, n + 1) * FIVE_MINUTES, series[:, None])


def tree() -> None:
    """Cells of one half-space tree over two features, and how many of the points fall into each."""
    structure = draw_river(3, 2, 1, 4)
    points = np.random.default_rng(0).normal(0.5, 0.13, (250, 2)).clip(0, 1)
    odd = np.array([0.9, 0.9])
    figure, axis = pyplot.subplots(figsize=(5, 5), layout="constrained")
    boxes = [(0, 0.0, 1.0, 0.0, 1.0)]
    while boxes:
        node, left, right, low, high = boxes.pop()
        if node >= structure.feature.shape[1]:
            inside = ((points > (left, low)) & (points <= (right, high))).all(axis=1).sum()
            axis.text((left + right) / 2, (low + high) / 2, str(inside), ha="center", va="center", fontsize=8)
            continue
        cut = structure.threshold[0, node]
        if structure.feature[0, node] == 0:
            axis.plot([cut, cut], [low, high], color=GREY, linewidth=0.9)
            boxes += [(2 * node + 1, left, cut, low, high), (2 * node + 2, cut, right, low, high)]
        else:
            axis.plot([left, right], [cut, cut], color=GREY, linewidth=0.9)
            boxes += [(2 * node + 1, left, right, low, cut), (2 * node + 2, left, right, cut, high)]
    axis.scatter(*points.T, s=6, color=BLUE, alpha=0.5)
    axis.scatter(*odd, s=60, color=RED, marker="x")
    axis.set(xlim=(0, 1), ylim=(0, 1), xlabel="first feature", ylabel="second feature")
    figure.savefig(IMAGES / "tree.png", dpi=110)
    pyplot.close(figure)


def threshold() -> None:
    """Values, scores, threshold and alarms of a seasonal series with a spike and a shift."""
    source = np.random.default_rng(5)
    series = clean("season", 4000, source)
    series[2500] += 30
    series[3300:3380] += 22
    steps = detect(series)
    figure, (above, below) = pyplot.subplots(2, 1, figsize=(11, 5), sharex=True, layout="constrained")
    odd = np.flatnonzero(steps.grade)
    above.plot(series, linewidth=0.6, color=BLUE)
    above.scatter(odd, series[odd], color=RED, s=30, zorder=3)
    above.set_ylabel("value")
    below.plot(steps.score, linewidth=0.5, color=BLUE, label="score")
    below.plot(np.where(steps.threshold > 0, steps.threshold, np.nan), color=RED, linewidth=1, label="threshold")
    below.set(ylabel="bits", xlabel="window")
    below.legend(loc="upper right")
    figure.savefig(IMAGES / "threshold.png", dpi=110)
    pyplot.close(figure)


def season() -> None:
    """The same value is usual at noon and odd at midnight: with and without the hours."""
    source = np.random.default_rng(7)
    series = clean("season", 6000, source)
    trough = 19 * 288 + 216
    series[trough : trough + 12] += 32
    figure, axes = pyplot.subplots(2, 1, figsize=(11, 4.5), sharex=True, layout="constrained")
    for axis, seasonality in zip(axes, (True, False), strict=True):
        steps = detect(series, seasonality=seasonality)
        axis.plot(np.arange(5000, 6000), steps.score[5000:], linewidth=0.6, color=BLUE)
        axis.plot(np.arange(5000, 6000), steps.threshold[5000:], linewidth=1, color=RED)
        axis.set_title("with the hours" if seasonality else "without", fontsize=9, loc="left")
        axis.set_ylabel("bits")
    figure.savefig(IMAGES / "season.png", dpi=110)
    pyplot.close(figure)


def main() -> None:
    IMAGES.mkdir(exist_ok=True)
    tree()
    threshold()
    season()


if __name__ == "__main__":
    main()
