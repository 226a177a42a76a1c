"""Filling in what is missing: the detector's ``imputation_option``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from schemas.errors import Refused
from streams.forest.arrays import BoolArray, Float64Array


@dataclass(frozen=True)
class Imputation:
    """How a missing value is filled in. ``fill`` holds one value a feature, for ``FIXED_VALUES`` only."""

    method: Literal["ZERO", "PREVIOUS", "FIXED_VALUES"]
    fill: tuple[float, ...] = ()

    @classmethod
    def from_document(cls, option: dict[str, Any] | None, names: Sequence[str]) -> Imputation | None:
        """Read ``imputation_option``. ``names`` are the names of the enabled features, in their order.

        Raises ``Refused`` (400) with OpenSearch's messages.

        >>> Imputation.from_document({"method": "zero"}, ["cpu"])
        Imputation(method='ZERO', fill=())
        """
        if option is None:
            return None
        method = str(option.get("method", "")).upper()
        fills = option.get("default_fill") or []
        if method in ("ZERO", "PREVIOUS"):
            return cls(method=method)  # type: ignore[arg-type]
        if method != "FIXED_VALUES":
            raise _refused("imputation_option.method must be one of: ZERO, PREVIOUS, FIXED_VALUES")
        if not names and fills:
            raise _refused("Enabled features list is null, but default fill values are provided.")
        if names and not fills:
            raise _refused("Enabled features are present, but no default fill values are provided.")
        if len(fills) != len(names):
            raise _refused(
                "Mismatch between the number of enabled features and default fill values. "
                f"Number of default fill values: {len(fills)}. Number of enabled features: {len(names)}."
            )
        by_name = {fill.get("feature_name"): fill.get("data") for fill in fills}
        for name in names:
            if not isinstance(by_name.get(name), int | float):
                raise _refused(f"Missing feature name: {name}.")
        return cls(method="FIXED_VALUES", fill=tuple(float(by_name[name]) for name in names))

    def fill_in(self, values: Float64Array, previous: Float64Array) -> tuple[Float64Array, BoolArray]:
        """The values [n, features] with NaN replaced, and which ones were.

        ``previous`` holds the last value known before each row; where there is none, the value stays missing.

        >>> Imputation("PREVIOUS").fill_in(np.array([[np.nan, 2.0]]), np.array([[7.0, 1.0]]))
        (array([[7., 2.]]), array([[ True, False]]))
        """
        missing = np.isnan(values)
        if self.method == "PREVIOUS":
            replacement = previous
        elif self.method == "ZERO":
            replacement = np.zeros_like(values)
        else:
            replacement = np.broadcast_to(np.asarray(self.fill), values.shape)
        imputed = missing & ~np.isnan(replacement)
        return np.where(imputed, replacement, values), imputed


def _refused(reason: str) -> Refused:
    return Refused(400, reason, "illegal_argument_exception")
