"""How severe scores are: each family of columns has a threshold of its own, and so has what lasts (threshold.py).

Without families the most restless column would decide: sums that wander, or runs of equal values, would lift the
threshold of all others.
"""

from __future__ import annotations

import numpy as np

from streams.forest import lasting, threshold
from streams.forest.arrays import Float64Array, Int64Array, UInt8Array
from streams.forest.log2 import STEP
from streams.forest.models import FAMILIES, JUDGES, OWN, STUCK, Models
from streams.forest.scoring import loudest

REACHES = np.array([1.0, 1.0, 1.8, 1.0, 1.0])
"""What the reach is multiplied by for each judge. The sum of sixteen gaps wanders slowly: its chapters are alike, and
its peaks fall short of Gumbel's law."""

LEAST_STUCK = 2.6
"""40 bits at least before a run of equal values alarms."""

FLATTERY = round(0.4 / STEP) * STEP
"""Bits by which a chapter scores too low when it is scored by what it has just taught: without them, young models
alarm where nothing is."""

CENTER_MEMORY = 1440.0
"""Rows after which what is usual has moved half way."""

WHOLE = len(FAMILIES)
"""The judge that follows the families: all scores, and their means."""


def severities(models: Models, rows: Int64Array, scores: Float64Array) -> Float64Array:
    """How severe rows are in each family, by the ``scores`` [n, FAMILIES] of the models ``rows`` [n].

    0 is usual, 1 alarms; the loudest family decides. Nothing is severe while a model has no thresholds.
    """
    center, limit = models.centers.take(rows, axis=0), models.limits.take(rows, axis=0)
    severe = np.empty_like(scores)
    for family in range(WHOLE):
        low = center[:, family].astype(np.float64)
        severe[:, family] = (scores[:, family] - low) / (limit[:, 1 + family] - low)
    return severe


def learn(
    models: Models,
    rows: Int64Array,
    begin: Int64Array,
    counts: Int64Array,
    own: Float64Array,
    earlier: UInt8Array,
    reach: float,
) -> None:
    """Move what is usual and the thresholds of models [m] by a chapter's scores ``own`` [m, n, FAMILIES].

    ``earlier`` [m, ROWS] are the scores before it, in units. A first chapter has none: its own count.
    """
    m, n = own.shape[:2]
    prior = threshold.prior(models.known.shape[2])
    length, chapters = counts - begin, models.chapters[rows]
    absent = np.arange(n) >= length[:, None]
    whole = loudest(own)
    means = np.where((chapters == 0)[:, None], whole, lasting.of_chapter(earlier, models.scores[rows]))
    means[absent] = -np.inf
    # As whole steps: they are sorted ten times faster, and their sums are exact.
    steps = np.concatenate([own, whole[..., None]], axis=2).transpose(0, 2, 1) / STEP
    steps = np.where(absent[:, None], np.iinfo(np.int16).max, steps).astype(np.int16)
    total = np.where(absent[:, None], 0, steps).sum(axis=2, dtype=np.int64) * STEP
    ordered = np.sort(steps, axis=2)
    model = np.arange(m)
    highest = ordered[model, :, length - 1] * STEP
    usual = total / length[:, None]
    usual[:, WHOLE] = ordered[model, WHOLE, (length - 1) // 2] * STEP

    share = np.maximum(length / counts, length / (length + CENTER_MEMORY))[:, None]
    centers = models.centers[rows].astype(np.float64)
    centers += share * (usual - centers)
    each = np.repeat(chapters, JUDGES), np.repeat(length, JUDGES)
    flat = ordered.reshape(m * JUDGES, n)
    tail = threshold.learn_tail(models.tail[rows].reshape(-1).astype(np.float64), each[0], flat * STEP, each[1])
    highest[:, WHOLE] = means.max(axis=1)
    peaks = models.peaks[rows].reshape(m * JUDGES, -1)
    threshold.remember_peak(peaks, each[0], highest.reshape(-1), each[1], n)
    reached = threshold.threshold(peaks, np.tile(reach * REACHES, m), tail, prior).reshape(m, JUDGES)
    reached += threshold.allowance(counts)[:, None]
    models.peaks[rows], models.tail[rows] = peaks.reshape(m, JUDGES, -1), tail.reshape(m, JUDGES)
    models.chapters[rows], models.centers[rows] = chapters + 1, centers
    limits = np.maximum(reached, centers + threshold.LEAST_REACH)
    limits[:, STUCK] = np.maximum(limits[:, STUCK], LEAST_STUCK)
    models.limits[rows, 1:] = limits
    models.limits[rows, 0] = np.maximum(reached[:, OWN], centers[:, WHOLE] + threshold.LEAST_REACH)
