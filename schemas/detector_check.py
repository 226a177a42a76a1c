"""What is refused about a detector as a whole, in OpenSearch's order and words."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from schemas.errors import DetectorInvalid
from schemas.feature import Feature, check_distinct
from schemas.imputation import check_imputation
from schemas.interval import Interval
from schemas.kafka_fields import unknown_kafka_field
from schemas.query import MatchAll
from schemas.suppression import check_rules

_NAME = re.compile(r"[a-zA-Z0-9._-]+")
_RESULT_INDEX = re.compile(r"[a-z0-9_-]+")
_RESULT_PREFIXES = ("opensearch-ad-plugin-result-", "searchguard-ad-result-")


@dataclass(frozen=True)
class DetectorLimits:
    """How large a detector may be; the defaults are OpenSearch's.

    ``own_prefix`` is what Riverwatch's own topics begin with: they are no data.
    """

    max_features: int = 5
    category_field_limit: int = 2
    name_length: int = 64
    description_length: int = 1000
    max_shingle: int = 128
    max_history: int = 10_000
    max_frequency_multiple: int = 10_000
    result_index_length: int = 255
    own_prefix: str = ""


def check_name(name: str, limits: DetectorLimits) -> None:
    """Raise ``DetectorInvalid`` for a name with other characters than OpenSearch's, or too many."""
    if not _NAME.fullmatch(name):
        raise DetectorInvalid(
            "name",
            "Valid characters for name are a-z, A-Z, 0-9, -(hyphen), _(underscore) and .(period)",
            kind="status_exception",
        )
    if len(name) > limits.name_length:
        raise DetectorInvalid(
            "name",
            f"Name should be shortened. The maximum limit is {limits.name_length} characters.",
            kind="status_exception",
        )


def check_members(members: Mapping[str, Any], features: Sequence[Feature], limits: DetectorLimits) -> None:
    """Check the members of a document, in OpenSearch's order. Raises ``DetectorInvalid``."""
    if not str(members.get("name", "")).strip():
        raise DetectorInvalid("name", "name should be set")
    if not str(members.get("time_field", "")).strip():
        raise DetectorInvalid("time_field", "Time field should be set")
    if not members.get("indices"):
        raise DetectorInvalid("indices", "Indices should be set")
    _check_indices(members["indices"], limits.own_prefix)
    _check_kafka_fields(members, features)
    if members.get("points") is not None and members.get("format") not in (None, "json"):
        raise DetectorInvalid("points", f"points are of JSON only, not of format [{members['format']}]")
    shingle, seasonality = members["shingle_size"], members.get("suggested_seasonality")
    if seasonality is not None and not 2 <= seasonality <= 2 * limits.max_shingle:
        raise DetectorInvalid(
            "suggested_seasonality",
            f"Suggested seasonality must be between 2 and {2 * limits.max_shingle}. Got {seasonality}.",
        )
    if not 1 <= shingle <= limits.max_shingle:
        raise DetectorInvalid(
            "shingle_size",
            f"Suggested shingle size must be between 1 and {limits.max_shingle}. Got {shingle}.",
        )
    _check_result_index(members.get("result_index"), limits)
    if members.get("recency_emphasis", 2) <= 1:
        raise DetectorInvalid("recency_emphasis", "Recency emphasis must be an integer greater than 1.")
    if len(members.get("description", "")) > limits.description_length:
        raise DetectorInvalid(
            "description", f"Description length is too long. Max length is {limits.description_length} characters."
        )
    if not 1 <= members["history"] <= limits.max_history:
        raise DetectorInvalid("history", f"We cannot look back more than {limits.max_history} intervals.")
    check_distinct(features)
    check_imputation(members.get("imputation_option"), [each.feature_name for each in features if each.feature_enabled])
    interval = members.get("detection_interval")
    _check_frequency(members.get("frequency"), interval, limits)
    # OpenSearch reports the last of these three that fails.
    check_rules(members.get("rules", ()), {each.feature_name: each.feature_enabled for each in features})
    if len(members.get("category_field") or ()) > limits.category_field_limit:
        raise DetectorInvalid(
            "category_field",
            f"Currently we only support up to {limits.category_field_limit} categorical field/s in order to bound"
            " system resource consumption.",
        )
    if interval is None:
        raise DetectorInvalid("detection_interval", "Detection interval should be set")
    if interval.interval <= 0:
        raise DetectorInvalid("detection_interval", "Detection interval must be a positive integer")


def _check_indices(names: Sequence[str], own_prefix: str) -> None:
    for name in names:
        if own_prefix and name.startswith((own_prefix, "__")):
            whose = "Kafka's" if name.startswith("__") else "Riverwatch's"
            raise DetectorInvalid("indices", f"[{name}] is no data: topics whose names begin so are {whose} own")


def _check_kafka_fields(members: Mapping[str, Any], features: Sequence[Feature]) -> None:
    filter_ = members.get("filter_query")
    named = [
        ("time_field", (members["time_field"],)),
        ("category_field", members.get("category_field") or ()),
        ("filter_query", () if filter_ is None else filter_.fields()),
        *(
            ("feature_attributes", (each.aggregation.field, *(each.aggregation.filter or MatchAll()).fields()))
            for each in features
        ),
    ]
    for member, fields in named:
        for field in fields:
            if (problem := unknown_kafka_field(field)) is not None:
                raise DetectorInvalid(member, problem)


def _check_result_index(name: str | None, limits: DetectorLimits) -> None:
    if name is None:
        return
    if not name.startswith(_RESULT_PREFIXES):
        raise DetectorInvalid("result_index", f"Result index must start with {_RESULT_PREFIXES[0]}")
    if len(name) > limits.result_index_length:
        raise DetectorInvalid(
            "result_index",
            f"Result index name size must contains less than {limits.result_index_length} characters",
        )
    if not _RESULT_INDEX.fullmatch(name):
        raise DetectorInvalid(
            "result_index",
            "Result index name has invalid character. Valid characters are a-z, 0-9, -(hyphen) and _(underscore)",
        )


def _check_frequency(frequency: Interval | None, interval: Interval | None, limits: DetectorLimits) -> None:
    if frequency is None:
        return
    if frequency.interval == 0:
        raise DetectorInvalid("frequency", "Frequency must be greater than 0.")
    if interval is None or interval.interval <= 0:
        return
    multiple, rest = divmod(frequency.milliseconds, interval.milliseconds)
    if rest:
        raise DetectorInvalid(
            "frequency",
            f"Frequency ({frequency}) must be a multiple of interval ({interval}), including the interval itself.",
        )
    if multiple > limits.max_frequency_multiple:
        raise DetectorInvalid(
            "frequency",
            f"Frequency multiple ({multiple}) exceeds the maximum allowed value ({limits.max_frequency_multiple})."
            f" Frequency: {frequency}, Interval: {interval}.",
        )
