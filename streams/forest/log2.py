"""A logarithm that is the same on every machine.

``np.log2`` calls whatever the processor's vector library offers, and results differ in the last bit between
machines: two workers would then disagree on a score. Here the exponent is exact, the mantissa is looked up, and
results are multiples of 2^-10: also sums of them are exact, in any order.
"""

from __future__ import annotations

import math

import numpy as np

from streams.forest.arrays import Float64Array

STEP = 2.0**-10
_BITS = 12
MANTISSA = np.array([round(math.log2(0.5 + (i + 0.5) / 2 ** (_BITS + 1)) / STEP) * STEP for i in range(2**_BITS)])
"""The logarithm of mantissas from 0.5 to 1."""


def log2(values: Float64Array) -> Float64Array:
    """The base-2 logarithm of positive values, rounded to a multiple of 2^-10 (error below 0.001).

    >>> log2(np.array([1.0, 8.0, 10.0]))
    array([0.        , 3.        , 3.32226562])
    """
    mantissa, exponent = np.frexp(values)
    place = (mantissa * 2.0 ** (_BITS + 1)).astype(np.int64) - 2**_BITS
    return MANTISSA.take(place) + exponent


_POWERS = np.array([2.0 ** (i * STEP) for i in range(1 << 10)]).round(12)


def exp2(values: Float64Array) -> Float64Array:
    """2 to the power of values that are multiples of 2^-10, to 12 digits.

    >>> exp2(np.array([-1.0, 0.0, 3.0]))
    array([0.5, 1. , 8. ])
    """
    whole = np.floor(values)
    return np.ldexp(_POWERS.take(np.rint((values - whole) / STEP).astype(np.int64) % (1 << 10)), whole.astype(np.int64))
