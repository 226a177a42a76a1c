"""Detector documents for tests."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from schemas.detector import Detector, DetectorLimits, parse_detector
from schemas.errors import Refused

NOW = 1_795_493_160_642


def feature(name: str, kind: str = "avg", field: str = "value", **members: Any) -> dict[str, Any]:
    """A feature whose aggregation has the feature's name."""
    return {
        "feature_name": name,
        "feature_enabled": True,
        "aggregation_query": {name: {kind: {"field": field}}},
        **members,
    }


def minutes(count: float) -> dict[str, Any]:
    """An interval."""
    return {"period": {"interval": count, "unit": "Minutes"}}


def detector(**members: Any) -> dict[str, Any]:
    """A valid detector with other members; a member that is ``...`` is left out."""
    document = {
        "name": "d-single",
        "description": "test <b>detector</b>",
        "time_field": "timestamp",
        "indices": ["srv"],
        "feature_attributes": [feature("f1")],
        "detection_interval": minutes(1),
        "window_delay": minutes(0),
        **members,
    }
    return {name: value for name, value in document.items() if value is not ...}


def numbered(prefix: str = "id") -> Callable[[], str]:
    """An id factory that counts."""
    counter = itertools.count(1)
    return lambda: f"{prefix}{next(counter)}"


def parsed(**members: Any) -> Detector:
    """The detector that ``detector(**members)`` describes."""
    return parse_detector(detector(**members), limits=DetectorLimits(), now_ms=NOW, new_id=numbered())


def refusal(document: Any, **options: Any) -> Refused:
    """How the document is refused."""
    with pytest.raises(Refused) as caught:
        parse_detector(document, **{"limits": DetectorLimits(), "now_ms": NOW, "new_id": numbered(), **options})
    return caught.value
