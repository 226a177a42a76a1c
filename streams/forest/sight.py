"""What a model sees of rows, frozen as it is within a chapter: their columns and what was forecast instead.

Each feature has eight columns. The value, its change, the mean of the last eight and the *gap* between the value and
what is usual at this time of the day are what the trees cut. Beyond them the distance also looks at the *residual*, the
gap that was not forecast, in spreads of its hour; at the sums of the last four residuals and of the last sixteen gaps,
which tell a little that lasts; and at how many bits a run of equal values is worth.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from streams.forest import season
from streams.forest.arrays import Float64Array, Int8Array, Int32Array, Int64Array, UInt16Array
from streams.forest.derive import Runs, carry_forward, derive, lagged, latest, repeated, summed
from streams.forest.forecast import LAGS, TERMS, forecast
from streams.forest.models import (
    BITS,
    CHANGE,
    COEFFICIENTS,
    COLUMNS,
    GAP,
    GAP_SPREAD,
    LEVEL,
    MEAN,
    RESIDUAL,
    RUN,
    SPREAD,
    SUM_4,
    SUM_16,
    VALUE,
    Models,
)
from streams.forest.season import Day

UNIT = 32.0
MOST_UNITS = 127.0
"""Residuals and gaps that are summed are cut off at 4 spreads and counted in whole units of a 32nd: they fill a byte,
and their sums are exact however rows are cut into batches."""

MOST_RESIDUAL = 1e4
MOST_RUN = (1 << 31) - 1
RUN_BITS = 8.0
"""So many bits of a run count as one spread."""


@dataclass
class Past:
    """What models have to know of the rows before the next one, the latest first; see ``Models``."""

    recent: Float64Array
    gaps: Float64Array
    residual_units: Int8Array
    gap_units: Int8Array
    run: Int32Array

    @classmethod
    def of(cls, models: Models) -> Past:
        """The past of all models: what ``see`` moves then is theirs."""
        return cls(models.recent, models.gaps, models.residual_units, models.gap_units, models.runs[:, 0])

    @classmethod
    def blank(cls, models: Models, rows: Int64Array) -> Past:
        """The past of as many models that have seen nothing."""
        recent, gaps = np.full_like(models.recent[rows], np.nan), np.full_like(models.gaps[rows], np.nan)
        units = np.zeros_like(models.residual_units[rows]), np.zeros_like(models.gap_units[rows])
        return cls(recent, gaps, *units, np.zeros_like(models.runs[rows, 0]))


@dataclass(frozen=True)
class Seen:
    """``columns`` [n, d, COLUMNS]; what is ``usual`` [n, d] at this time, the gap that was ``forecast`` [n, d] from the
    ``gaps`` [n, LAGS, d] before (0 for unknown ones), and the ``spread`` [n, d] around it."""

    columns: Float64Array
    usual: Float64Array
    forecast: Float64Array
    gaps: Float64Array
    spread: Float64Array


def see(
    models: Models, model: Int64Array, past: Past, runs: Runs, values: Float64Array, marks: UInt16Array, day: Day
) -> Seen:
    """What ``model`` [n] sees of ``values`` [n, d] at the marked times. Moves the ``past``; ``runs`` names its rows."""
    known = models.known[model]
    level, spread = known[:, LEVEL], known[:, SPREAD]
    carried = carry_forward(values, runs, past.recent[runs.rows, 0])
    before = lagged(carried, runs, past.recent)
    usual = level + season.usual(models.levels, model, marks, day)
    gap = values - usual
    carried_gap = carry_forward(gap, runs, past.gaps[runs.rows, 0])
    gaps = lagged(carried_gap, runs, past.gaps)
    lags = np.where(np.isnan(gaps), 0.0, gaps)
    expected_gap = forecast(known[:, COEFFICIENTS : COEFFICIENTS + TERMS], lags)
    if day.hours:
        spread = season.between(models.hours, model, marks, day, 0, day.hours)
    residual = np.minimum(np.maximum((gap - expected_gap) / spread, -MOST_RESIDUAL), MOST_RESIDUAL)
    residual_units, gap_units = units(residual), units(gap / known[:, GAP_SPREAD])
    run = np.minimum(repeated(values, before[:, 0], runs, past.run), MOST_RUN)

    columns = np.empty((*values.shape, COLUMNS))
    columns[..., VALUE] = values
    columns[..., CHANGE], columns[..., MEAN] = derive(values, before)
    columns[..., GAP], columns[..., RESIDUAL] = gap, residual
    unknown = np.isnan(residual)
    columns[..., SUM_4] = np.where(unknown, np.nan, summed(residual_units, runs, past.residual_units) / (2 * UNIT))
    columns[..., SUM_16] = np.where(unknown, np.nan, summed(gap_units, runs, past.gap_units) / (4 * UNIT))
    columns[..., RUN] = np.where(np.isnan(values), np.nan, run * known[:, BITS] / RUN_BITS)

    last = np.flatnonzero(runs.last)
    rows = runs.rows[last]
    past.residual_units[rows] = latest(residual_units, runs, past.residual_units, last)
    past.gap_units[rows] = latest(gap_units, runs, past.gap_units, last)
    past.recent[rows] = latest(carried, runs, past.recent, last)
    past.gaps[rows] = latest(carried_gap, runs, past.gaps, last)
    past.run[rows] = run[last]
    return Seen(columns, usual, expected_gap, lags, spread)


def units(spreads: Float64Array) -> Int64Array:
    """Numbers of spreads in whole units, cut off; 0 for what is unknown.

    >>> units(np.array([-9.0, 0.1, np.nan])).tolist()
    [-127, 3, 0]
    """
    scaled = np.minimum(np.maximum(spreads * UNIT, -MOST_UNITS), MOST_UNITS)
    return np.rint(np.where(np.isnan(scaled), 0.0, scaled)).astype(np.int64)


WARM_UP = 2 * LAGS + 16 + 2
"""Rows after which what is seen does not depend on what was before them, but for runs and what is missing for long."""
