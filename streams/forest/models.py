"""The state of the default model, as rows of arrays: all that is kept between two calls."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from streams.forest import forecast, incidents
from streams.forest.arrays import (
    Float32Array,
    Float64Array,
    Int8Array,
    Int16Array,
    Int32Array,
    Int64Array,
    UInt8Array,
    UInt16Array,
)
from streams.forest.chapters import FIRST, Chapters
from streams.forest.derive import LAGS
from streams.forest.lasting import ROWS
from streams.forest.season import Day
from streams.forest.spec import ForestSpec
from streams.forest.table import Table
from streams.forest.threshold import EMPTY, PEAKS

VALUE, CHANGE, MEAN, GAP, RESIDUAL, SUM_4, SUM_16, RUN = range(8)
"""Columns of a feature (sight.py)."""

COLUMNS = 8
TREE_COLUMNS = 4
"""The first so many are what the trees cut; the distance looks at all but the change."""

FAMILIES = ((VALUE, MEAN, GAP), (RESIDUAL, SUM_4), (SUM_16,), (RUN,))
"""Columns that share a threshold: one restless column would lift that of all others."""

JUDGES = len(FAMILIES) + 1
"""Those that say how severe a row is: the families, and the mean of the last scores."""

OWN, SURPRISE, DRIFT, STUCK = range(4)
"""The families."""

LEVEL, COEFFICIENTS, SPREAD, GAP_SPREAD, REPEATS, BITS = 0, 1, 5, 6, 7, 8
KNOWN = 9
"""Rows of ``Models.known``; there are four coefficients."""

BASE, GAIN = range(2)
CENTER, CLOSENESS = range(2)
"""Rows of ``Models.scale`` and of ``Models.frame``."""

FARTHEST = float(np.finfo(np.float32).max) / 4
"""Values are stored within this distance from their origin: beyond, differences of two would be infinite."""


@dataclass
class Models(Table):
    """One row a model; d features, w rows in the window."""

    ALIKE = ("codes", "level_weights", "hour_weights", "weight")
    STEADY = ("marks",)

    count: Int64Array
    """Events learned."""
    recent: Float64Array
    """[LAGS, d] the values before the next one, the latest first; gaps are filled with what was before."""
    gaps: Float64Array
    """[forecast.LAGS, d] the gaps before the next row, as the model sees them now; unknown ones are filled likewise."""
    residual_units: Int8Array
    """[3, d] the residuals before the next row, the latest first, and"""
    gap_units: Int8Array
    """[15, d] the gaps, in units (sight.py)."""
    runs: Int32Array
    """[2, d] how often the latest value has been the same: now, and when the chapter began."""
    origin: Float64Array
    """[d] what ``window`` and ``levels`` are relative to: float32 would lose the changes of a large value."""
    window: Float32Array
    """[w, d] the latest values, in the place of their number modulo w; NaN for missing ones."""
    marks: UInt16Array
    """[w] the slot and type of day of each of them, and whether it is protected (season.py)."""
    scores: Int16Array
    """[w / 2] the scores of the current chapter, in steps of 2^-10."""
    earlier: UInt8Array
    """[lasting.ROWS] the last scores before the current chapter, in units (lasting.py)."""
    lasting: Int32Array
    """Sum of the latest lasting.ROWS scores, in units."""
    known: Float64Array
    """[KNOWN, d] what is usual of each feature: LEVEL (NaN until it was seen), the COEFFICIENTS of the forecast, SPREAD
    around it, GAP_SPREAD, the share of REPEATS, and the BITS that a repeat is worth."""
    sums: Float64Array
    """[forecast.SUMS, d] what the coefficients follow from."""
    levels: Float32Array
    """[Day.levels, d] how far values lie from the level in each bin, and"""
    level_weights: UInt16Array
    """[Day.levels, d] how many rows each of them has seen."""
    hours: Float32Array
    """[Day.hours, d] the spread around the forecast in each hour, and"""
    hour_weights: UInt16Array
    """[Day.hours, d] how many rows each of them has seen."""
    scale: Float64Array
    """[2, d, TREE_COLUMNS] how the trees see rows: BASE is mapped to 0, where a unit counts GAIN."""
    frame: Float64Array
    """[2, d, COLUMNS] for the distance: CENTER is the slowly moving mean, CLOSENESS 1 / standard deviation."""
    neutral: Int16Array
    """[d, TREE_COLUMNS] the cell of the mean, for what is missing."""
    variance: Float64Array
    """[d, COLUMNS] variance of each column, of"""
    weight: Float64Array
    """[d, COLUMNS] so many rows."""
    codes: UInt8Array
    """[trees, leaves] how crowded each leaf is (reference.py)."""
    peaks: Int16Array
    """[JUDGES, PEAKS] the highest score of each of the last chapters, in each family, and the highest mean of some
    scores in a row."""
    tail: Float32Array
    """[JUDGES] how far the highest scores of a chapter lie above the others, in bits (threshold.py): those of each
    family, and all."""
    chapters: Int64Array
    """How many chapters have been scored."""
    centers: Float32Array
    """[JUDGES] what is usual: the mean score of each family, and the median of all scores."""
    limits: Float32Array
    """[1 + JUDGES] from where on a row is severe, in each family, and a mean of some scores in a row; in front, what is
    reported as the threshold. Infinite before the first chapter ends."""
    begin: Int64Array
    """Number of the first event of the current chapter, and"""
    end: Int64Array
    """of the first one of the next."""
    incident: Int64Array
    """[incidents.COLUMNS] where the latest incident stands, and"""
    worst: Float64Array
    """the highest severity in it."""

    @classmethod
    def unseen(cls, spec: ForestSpec, capacity: int) -> Models:
        """Rows of models that have seen nothing."""
        d, w = spec.features, spec.window
        day = Day.of(spec.interval, spec.seasonality)

        def zeros(*shape: int) -> Float64Array:
            return np.zeros((capacity, *shape))

        known = zeros(KNOWN, d)
        known[:, LEVEL] = np.nan
        known[:, SPREAD : GAP_SPREAD + 1] = 1.0
        return cls(
            count=np.zeros(capacity, np.int64),
            recent=np.full((capacity, LAGS, d), np.nan),
            gaps=np.full((capacity, forecast.LAGS, d), np.nan),
            residual_units=np.zeros((capacity, 3, d), np.int8),
            gap_units=np.zeros((capacity, 15, d), np.int8),
            runs=np.zeros((capacity, 2, d), np.int32),
            origin=np.full((capacity, d), np.nan),
            window=np.full((capacity, w, d), np.nan, np.float32),
            marks=np.zeros((capacity, w), np.uint16),
            scores=np.zeros((capacity, Chapters(w).length), np.int16),
            earlier=np.zeros((capacity, ROWS), np.uint8),
            lasting=np.zeros(capacity, np.int32),
            known=known,
            sums=zeros(forecast.SUMS, d),
            levels=np.zeros((capacity, day.levels, d), np.float32),
            level_weights=np.zeros((capacity, day.levels, d), np.uint16),
            hours=np.ones((capacity, day.hours, d), np.float32),
            hour_weights=np.zeros((capacity, day.hours, d), np.uint16),
            scale=zeros(2, d, TREE_COLUMNS),
            frame=zeros(2, d, COLUMNS),
            neutral=np.zeros((capacity, d, TREE_COLUMNS), np.int16),
            variance=zeros(d, COLUMNS),
            weight=zeros(d, COLUMNS),
            codes=np.zeros((capacity, spec.trees, 1 << spec.height), np.uint8),
            peaks=np.full((capacity, JUDGES, PEAKS), EMPTY, np.int16),
            tail=np.zeros((capacity, JUDGES), np.float32),
            chapters=np.zeros(capacity, np.int64),
            centers=np.zeros((capacity, JUDGES), np.float32),
            limits=np.full((capacity, 1 + JUDGES), np.inf, np.float32),
            begin=np.zeros(capacity, np.int64),
            end=np.full(capacity, FIRST),
            incident=incidents.unseen(capacity),
            worst=zeros(),
        )
