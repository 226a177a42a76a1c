"""Result documents, on the topics ``results`` and ``anomalies`` (anchor section 4.1)."""

from __future__ import annotations

import msgspec

from schemas.task import EntityValue

SCHEMA_VERSION = 7


class FeatureData(msgspec.Struct, frozen=True):
    """The value of one feature in the window."""

    feature_id: str
    feature_name: str
    data: float


class FeatureShare(msgspec.Struct, frozen=True):
    """A number that belongs to one feature: its share of an anomaly, or an expected value."""

    feature_id: str
    data: float


class ExpectedValues(msgspec.Struct, frozen=True):
    """What was expected instead."""

    likelihood: float
    value_list: list[FeatureShare]


class FeatureImputed(msgspec.Struct, frozen=True):
    """Whether a feature's value was filled in."""

    feature_id: str
    imputed: bool


class Result(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One scored window of one entity.

    ``id`` is the same whenever the same window is scored again: a consumer that keeps the last record of an id
    has each result once. Times are epoch ms; the window is ``[data_start_time, data_end_time)``.
    """

    id: str
    detector_id: str
    schema_version: int | msgspec.UnsetType = msgspec.UNSET
    data_start_time: int
    data_end_time: int
    feature_data: list[FeatureData] | None = None
    execution_start_time: int | None = None
    execution_end_time: int | None = None
    anomaly_score: float | msgspec.UnsetType = msgspec.UNSET
    anomaly_grade: float | msgspec.UnsetType = msgspec.UNSET
    confidence: float | msgspec.UnsetType = msgspec.UNSET
    threshold: float | None = None
    error: str | None = None
    entity: list[EntityValue] | None = None
    model_id: str | None = None
    task_id: str | None = None
    approx_anomaly_start_time: int | None = None
    relevant_attribution: list[FeatureShare] | None = None
    past_values: list[FeatureShare] | None = None
    expected_values: list[ExpectedValues] | None = None
    feature_imputed: list[FeatureImputed] | None = None


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Result)


def encode_result(result: Result) -> bytes:
    """Write a record of the results and anomalies topics."""
    return _encoder.encode(result)


def decode_result(value: bytes) -> Result:
    """Read a record of the results and anomalies topics."""
    return _decoder.decode(value)
