"""Result documents, on the topics ``results`` and ``anomalies``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from schemas.reason import Reason
from schemas.task import EntityValue

SCHEMA_VERSION = 7


_State = Literal["open", "ongoing", "closed"]
_STATES: tuple[_State, ...] = ("open", "open", "ongoing", "closed")


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


class Incident(msgspec.Struct, frozen=True):
    """What the window is to an incident of its entity: an extension.

    ``sequence`` counts the incidents of the entity's model, ``state`` is ``open`` in the window that opened it,
    ``ongoing`` in those that belong to it, and ``closed`` in the first one after it. ``start_time`` is the start of the
    window that opened it; ``duration`` reaches from there to the end of this one (both in ms).
    """

    sequence: int
    state: _State
    start_time: int
    duration: int

    @classmethod
    def of(cls, row: Sequence[int], end: int, interval_ms: int) -> Incident | None:
        """Read a row of the bank's ``Steps.incident``, of a window that ends at ``end``; ``None`` without an incident.

        >>> Incident.of((2, 1, 60_000), 180_000, 60_000)
        Incident(sequence=1, state='ongoing', start_time=0, duration=180000)
        """
        state, sequence, began = row
        start = began - interval_ms
        return cls(sequence, _STATES[state], start, end - start) if state else None


class Result(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One scored window of one entity.

    ``id`` is the same whenever the same window is scored again: a consumer that keeps the last record of an id
    has each result once. Times are epoch ms; the window is ``[data_start_time, data_end_time)``. ``model_state`` and
    ``reason`` are extensions: a young model is LEARNING and needs more to alarm; a reason is given for anomalies.
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
    incident: Incident | None = None
    reason: Reason | None = None
    model_state: Literal["LEARNING"] | None = None


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Result)


def encode_result(result: Result) -> bytes:
    """Write a record of the results and anomalies topics."""
    return _encoder.encode(result)


def decode_result(value: bytes) -> Result:
    """Read a record of the results and anomalies topics."""
    return _decoder.decode(value)
