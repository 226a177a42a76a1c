"""A run of a detector, compiled: what to read of a record, what to keep of a window, how to get the features."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
import numpy.typing as npt

from schemas.aggregation import Aggregation
from schemas.detector import Detector
from schemas.entity import model_key
from schemas.query import MatchAll, Query, to_document
from schemas.record_format import RecordFormat
from schemas.time_unit import TimeUnit
from streams.features.columns import Column, Input, NumberColumn
from streams.features.distinct import DistinctColumn
from streams.features.quantiles import QuantileColumn
from streams.kafka.murmur2 import partition_of

Float64Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class PlannedFeature:
    """An enabled feature: the places of its columns among the plan's. ``percent`` is for percentiles."""

    feature_id: str
    feature_name: str
    kind: str
    columns: tuple[int, ...]
    percent: float | None = None

    def value(self, columns: Sequence[Any]) -> Float64Array:
        """The feature's value for each entity; NaN where there is none, or a sum that no double holds.

        As in OpenSearch: with records, but none that has the field or passes the feature's filter, a sum, a count of
        values and a count of distinct ones are 0, and the others are missing. Without any record all are missing.
        """
        mine = [columns[place] for place in self.columns]
        if self.kind == "cardinality":
            return DistinctColumn.estimates(mine[0])
        if self.kind == "median_absolute_deviation":
            return QuantileColumn.median_absolute_deviations(mine[0])
        if self.percent is not None:
            return QuantileColumn.percentiles(mine[0], self.percent)
        if self.kind == "avg":
            total, count = mine
            with np.errstate(divide="ignore", invalid="ignore"):
                return NumberColumn.known(np.where(count > 0, total / count, np.nan))
        return NumberColumn.known(mine[0])


@dataclass(frozen=True)
class Plan:
    """Everything that ingest and score need to know of one run.

    ``owner`` is the detector id, or the task id of a historical analysis; ``categories`` are the sorted paths of the
    category fields. ``time_unit`` and ``format`` None: each number and each record tell their own. ``delay_ms`` None is
    the automatic delay, at most ``most_delay_ms``. ``definition`` identifies what the models learn: two plans with the
    same one have the same quantities as features, whatever their names, topics and delays.
    """

    owner: str
    run: int
    detector_id: str
    time: str
    time_unit: TimeUnit | None
    format: RecordFormat | None
    points: str | None
    categories: tuple[str, ...]
    interval_ms: int
    delay_ms: int | None
    most_delay_ms: int
    filter: Query | None
    columns: tuple[Column, ...]
    features: tuple[PlannedFeature, ...]
    partitions: int
    definition: str = ""

    @classmethod
    def build(
        cls, *, owner: str, run: int, detector_id: str, detector: Detector, partitions: int, most_delay_ms: int
    ) -> Plan:
        """The plan of a detector's run."""
        columns: dict[Column, int] = {}
        features = []
        for feature in detector.enabled_features:
            needed = _columns(feature.aggregation)
            places = tuple(columns.setdefault(column, len(columns)) for column in needed)
            kind, percent = feature.aggregation.kind, feature.aggregation.percent
            features.append(PlannedFeature(feature.feature_id, feature.feature_name, kind, places, percent))
        return cls(
            owner=owner,
            run=run,
            detector_id=detector_id,
            time=detector.time_field,
            time_unit=detector.time_unit,
            format=detector.format,
            points=detector.points,
            categories=detector.category_fields,
            interval_ms=detector.window_interval_ms,
            delay_ms=None if detector.window_delay is None else detector.window_delay.milliseconds,
            most_delay_ms=most_delay_ms,
            filter=None if isinstance(detector.filter_query, MatchAll) else detector.filter_query,
            columns=tuple(columns),
            features=tuple(features),
            partitions=partitions,
            definition=_definition(detector),
        )

    @property
    def inputs(self) -> tuple[Input, ...]:
        """The distinct inputs of the columns."""
        return tuple(dict.fromkeys(column.input for column in self.columns))

    def model_partition(self, entity: str) -> int:
        """The model partition of an entity, by the key of its model."""
        return partition_of(model_key(self.owner, entity).encode(), self.partitions)

    def feature_values(self, columns: Sequence[Any]) -> Float64Array:
        """The features [entities, features] from the accumulators of the columns; NaN where there is no value."""
        return np.column_stack([feature.value(columns) for feature in self.features])


def _definition(detector: Detector) -> str:
    """What a model of this detector learns from, as a hash: the windows, the records in them, and their features."""
    aggregations = [
        (each.kind, each.field, each.percent, each.filter and to_document(each.filter))
        for each in (feature.aggregation for feature in detector.enabled_features)
    ]
    parts = (
        detector.time_field,
        detector.time_unit,
        detector.points,
        detector.category_fields,
        detector.window_interval_ms,
        to_document(detector.filter_query),
        aggregations,
    )
    # Not MessagePack: it refuses integers beyond 64 bits, which a filter may hold, and the worker would end.
    return blake2b(json.dumps(parts).encode(), digest_size=8).hexdigest()


def _columns(aggregation: Aggregation) -> tuple[Column, ...]:
    path, filter_ = aggregation.field, aggregation.filter
    number = Input(path, filter=filter_)
    match aggregation.kind:
        case "value_count":
            return (NumberColumn("count", Input(path, "presence", filter_)),)
        case "cardinality":
            return (DistinctColumn(Input(path, "hash", filter_)),)
        case "percentiles" | "median_absolute_deviation":
            return (QuantileColumn(number),)
        case "avg":
            return (NumberColumn("sum", number), NumberColumn("count", number))
        case kind:
            return (NumberColumn(kind, number),)
