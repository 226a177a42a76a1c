"""What stands in for the value of a feature when a window has no record."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal, get_args

import msgspec

from schemas.errors import DetectorInvalid
from schemas.token import as_array, as_number, as_object, as_text, illegal_argument

Method = Literal["ZERO", "PREVIOUS", "FIXED_VALUES"]
_FIELD = "imputation_option"


class DefaultFill(msgspec.Struct, frozen=True):
    """The value that stands in for one feature."""

    feature_name: str
    data: float


class Imputation(msgspec.Struct, frozen=True):
    """How missing windows are filled; ``default_fill`` is for ``FIXED_VALUES`` only."""

    method: Method
    default_fill: tuple[DefaultFill, ...] = ()

    def document(self) -> dict[str, Any]:
        """The JSON form."""
        fills = [{"feature_name": fill.feature_name, "data": fill.data} for fill in self.default_fill]
        return {"method": self.method, "default_fill": fills} if fills else {"method": self.method}


def parse_imputation(value: Any) -> Imputation | None:
    """Read ``imputation_option``. Raises ``Refused`` for what doesn't have its shape."""
    if value is None:
        return None
    document = as_object(value)
    name = as_text(document["method"]).upper() if "method" in document else "ZERO"
    for method in get_args(Method):
        if method == name:
            break
    else:
        raise illegal_argument(f"No enum constant org.opensearch.timeseries.dataprocessor.ImputationMethod.{name}")
    fills = document.get("default_fill")
    if method != "FIXED_VALUES" or fills is None:
        return Imputation(method)
    return Imputation(method, tuple(_parse_fill(as_object(fill)) for fill in as_array(fills)))


def _parse_fill(fill: Any) -> DefaultFill:
    if "feature_name" not in fill or "data" not in fill:
        raise illegal_argument("A default fill needs a feature_name and its data")
    data = as_number(fill["data"])
    if not math.isfinite(data):
        raise illegal_argument(f"The default fill {data} is not a number")
    return DefaultFill(as_text(fill["feature_name"]), data)


def check_imputation(imputation: Imputation | None, enabled_features: Sequence[str]) -> None:
    """Compare the fixed values with the enabled features. Raises ``DetectorInvalid`` in OpenSearch's words."""
    if imputation is None or imputation.method != "FIXED_VALUES":
        return
    given = {fill.feature_name for fill in imputation.default_fill}
    if not enabled_features:
        if given:
            raise DetectorInvalid(_FIELD, "Enabled features list is null, but default fill values are provided.")
        return
    if not given:
        raise DetectorInvalid(_FIELD, "Enabled features are present, but no default fill values are provided.")
    if len(given) != len(enabled_features):
        raise DetectorInvalid(
            _FIELD,
            "Mismatch between the number of enabled features and default fill values. Number of default fill"
            f" values: {len(given)}. Number of enabled features: {len(enabled_features)}.",
        )
    for feature in enabled_features:
        if feature not in given:
            raise DetectorInvalid(_FIELD, f"Missing feature name: {feature}.")
