"""A feature: a named aggregation whose value over each window is scored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from schemas.aggregation import Aggregation, NotSingleValued, parse_aggregation
from schemas.errors import DetectorInvalid, Refused, first_cause
from schemas.token import as_array, as_boolean, as_object, as_text, illegal_argument

_FIELD = "feature_attributes"
_MALFORMED = ("parsing_exception", "x_content_parse_exception")
_RUNTIME = "Feature has an invalid query causing a runtime exception"


class Feature(msgspec.Struct, frozen=True):
    """One column of a detector's windows, in use when ``feature_enabled``."""

    feature_id: str
    feature_name: str
    feature_enabled: bool
    aggregation: Aggregation

    def document(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "feature_id": self.feature_id,
            "feature_name": self.feature_name,
            "feature_enabled": self.feature_enabled,
            "aggregation_query": self.aggregation.document,
        }


def parse_features(value: Any, detector_name: str, new_id: Callable[[], str]) -> tuple[Feature, ...]:
    """Read ``feature_attributes``; a feature without an id gets one from ``new_id``.

    Raises ``DetectorInvalid`` for an aggregation that can't be read or used, ``Refused`` (400) for a feature
    without a name or aggregation.
    """
    try:
        return tuple(_parse_feature(as_object(feature), detector_name, new_id) for feature in as_array(value))
    except DetectorInvalid:
        raise
    except Refused as refused:
        if refused.kind in _MALFORMED:
            raise DetectorInvalid(_FIELD, f"Custom query error: {first_cause(refused).reason}") from None
        raise


def _parse_feature(feature: Mapping[str, Any], detector_name: str, new_id: Callable[[], str]) -> Feature:
    name = as_text(feature["feature_name"]) if "feature_name" in feature else ""
    aggregation = None
    if feature.get("aggregation_query") is not None:
        try:
            aggregation = parse_aggregation(as_object(feature["aggregation_query"]))
        except NotSingleValued:
            raise DetectorInvalid(
                _FIELD,
                f"{_RUNTIME}: {name}",
                status=400,
                kind="status_exception",
                reason=f"Validation failed for feature(s) of detector {detector_name} Exceptions: [{_RUNTIME}: {name}]",
                sub_issues={name: _RUNTIME},
            ) from None
    if not name.strip():
        raise illegal_argument("Feature name should be set")
    if aggregation is None:
        raise illegal_argument("Feature aggregation query should be set")
    given = feature.get("feature_id")
    return Feature(
        as_text(given) if given else new_id(),
        name,
        as_boolean(feature.get("feature_enabled", True)),
        aggregation,
    )


def check_distinct(features: Sequence[Feature]) -> None:
    """Raise ``DetectorInvalid`` when a feature's name appears twice."""
    counts = Counter(feature.feature_name for feature in features)
    for name, count in counts.items():
        if count > 1:
            raise DetectorInvalid(_FIELD, f"[{name}] appears more than once. Feature name has to be unique")


def check_features(features: Sequence[Feature], most: int) -> None:
    """Raise ``DetectorInvalid`` (400) for too many features or aggregations of one name."""
    if len(features) > most:
        raise _refused(f"Can't create more than {most} feature(s)")
    counts = Counter(feature.aggregation.name for feature in features)
    twice = [name for name, count in counts.items() if count > 1]
    if twice:
        raise _refused(f"Config has duplicate feature aggregation query names: {', '.join(twice)}")


def _refused(reason: str) -> DetectorInvalid:
    return DetectorInvalid(_FIELD, reason, status=400, kind="status_exception")
