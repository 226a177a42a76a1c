"""How far the next value will lie from what is usual: a regression on the last three gaps, for each feature.

Ridge regression with forgetting, from the sums of products that a model keeps. What a chapter teaches is cut off at a
few spreads from what was forecast, for one spike outweighs hundreds of rows.
"""

from __future__ import annotations

import numpy as np

from streams.forest.arrays import BoolArray, Float64Array

LAGS = 3
"""Gaps that a forecast is made from."""

TERMS = 1 + LAGS
PAIRS = tuple((a, b) for a in range(TERMS) for b in range(a, TERMS))
"""The products of two terms that are summed, then come those of a term and what was to be forecast."""

SUMS = len(PAIRS) + TERMS

RIDGE = 4.0
"""Rows of their own size and without a gap that terms are taken to have been seen in."""

MEMORY = 1440.0
"""Rows after which a chapter counts half."""

CUT_OFF = 4.0
"""Spreads around its forecast at which a gap is cut off when it is learned."""

_TINY = 1e-300


def forecast(coefficients: Float64Array, gaps: Float64Array) -> Float64Array:
    """The gap [n, d] that is forecast from the ``gaps`` [n, LAGS, d] before, the latest first, by [n, TERMS, d].

    >>> forecast(np.array([[[1.0], [0.5], [0.0], [0.0]]]), np.array([[[4.0], [9.0], [9.0]]])).tolist()
    [[3.0]]
    """
    expected = coefficients[:, 0].copy()
    for lag in range(LAGS):
        expected += coefficients[:, 1 + lag] * gaps[:, lag]
    return expected


def learn(sums: Float64Array, gaps: Float64Array, target: Float64Array, use: BoolArray) -> None:
    """Add a chapter to the ``sums`` [models, SUMS, d], in place.

    ``target`` [models, rows, d] is what was to be forecast from ``gaps`` [models, rows, LAGS, d]; ``use`` says which
    count. Models forget by the rows of a chapter, of a feature that was seen in any.
    """
    terms = [np.ones_like(target), *(gaps[:, :, lag] for lag in range(LAGS))]
    products = [terms[a] * terms[b] for a, b in PAIRS] + [term * target for term in terms]
    for place, product in enumerate(products):
        sums[:, place] += total(np.where(use, product, 0.0))


def total(rows: Float64Array) -> Float64Array:
    """The sum [models, ...] over ``rows`` [models, rows, ...], in their order: sum() adds in another one."""
    added: Float64Array = np.add.accumulate(rows, axis=1)[:, -1]
    return added


def solve(sums: Float64Array) -> Float64Array:
    """The coefficients [models, TERMS, d] that follow from the sums.

    >>> sums = np.zeros((1, SUMS, 1))
    >>> sums[0, [0, 4, 11], 0] = 100, 25, 25
    >>> solve(sums).round(2)[0, :, 0].tolist()
    [0.0, 0.96, 0.0, 0.0]
    """
    matrix = {pair: sums[:, place].copy() for place, pair in enumerate(PAIRS)}
    right = [sums[:, len(PAIRS) + term].copy() for term in range(TERMS)]
    rows = matrix[0, 0] + _TINY
    for term in range(TERMS):
        size = np.ones_like(rows) if term == 0 else sums[:, PAIRS.index((term, term))] / rows
        matrix[term, term] += RIDGE * size + _TINY
    for term in range(TERMS):
        for below in range(term + 1, TERMS):
            factor = matrix[term, below] / matrix[term, term]
            for other in range(below, TERMS):
                matrix[below, other] -= factor * matrix[term, other]
            right[below] -= factor * right[term]
    solved = np.zeros((len(sums), TERMS, sums.shape[2]))
    for term in reversed(range(TERMS)):
        rest = right[term]
        for other in range(term + 1, TERMS):
            rest = rest - matrix[term, other] * solved[:, other]
        solved[:, term] = rest / matrix[term, term]
    return solved
