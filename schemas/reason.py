"""Why a window is an anomaly, in a code and a sentence: an extension of results."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import msgspec

Code = Literal[
    "HIGHER_THAN_USUAL",
    "LOWER_THAN_USUAL",
    "ROSE_UNEXPECTEDLY",
    "FELL_UNEXPECTEDLY",
    "HIGHER_FOR_LONG",
    "LOWER_FOR_LONG",
    "STANDS_STILL",
    "UNUSUAL_FOR_LONG",
    "UNUSUAL_COMBINATION",
]
CODES: tuple[Code, ...] = get_args(Code)

_SENTENCES: dict[str, str] = {
    "HIGHER_THAN_USUAL": "{name} is higher than usual at this time: {value} instead of {expected}",
    "LOWER_THAN_USUAL": "{name} is lower than usual at this time: {value} instead of {expected}",
    "ROSE_UNEXPECTEDLY": "{name} is higher than forecast from the last windows: {value} instead of {expected}",
    "FELL_UNEXPECTEDLY": "{name} is lower than forecast from the last windows: {value} instead of {expected}",
    "HIGHER_FOR_LONG": "{name} has been higher than usual for some windows: {value} instead of {expected}",
    "LOWER_FOR_LONG": "{name} has been lower than usual for some windows: {value} instead of {expected}",
    "STANDS_STILL": "{name} has not moved for {windows} windows: {value}",
    "UNUSUAL_FOR_LONG": "{name} has been unusual for dozens of windows: {value} instead of {expected}",
    "UNUSUAL_COMBINATION": "the values are each in their range, but not together; most of it is {name}: {value}",
}


class Band(msgspec.Struct, frozen=True):
    """Between what the value of a feature was expected."""

    feature_id: str
    lower: float
    upper: float


class Reason(msgspec.Struct, frozen=True):
    """What speaks loudest: its ``code``, the feature, a sentence, and the bands in which values were expected."""

    code: Code
    feature_id: str
    text: str
    bands: list[Band]


def sentence(code: Code, name: str, value: float, expected: float, windows: int) -> str:
    """The sentence of a code, about the feature ``name``; ``windows`` is how long its value has been the same.

    >>> sentence("LOWER_THAN_USUAL", "visits", 2.0, 18931.2, 0)
    'visits is lower than usual at this time: 2 instead of 18931.2'
    """
    return _SENTENCES[code].format(name=name, value=f"{value:.6g}", expected=f"{expected:.6g}", windows=windows)


def bands(features: Sequence[str], lower: Sequence[float], upper: Sequence[float]) -> list[Band]:
    """The bands of ``features`` (their ids), without those that are unknown (NaN)."""
    return [
        Band(feature, low, high)
        for feature, low, high in zip(features, lower, upper, strict=True)
        if low == low and high == high
    ]
