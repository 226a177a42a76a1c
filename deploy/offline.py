"""Detection over a file: records to windows, windows to results, with the same models and without Kafka."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Literal, TextIO

import msgspec
import numpy as np

from schemas.entity import entity_key, entity_values, result_id
from schemas.errors import Refused
from schemas.result import SCHEMA_VERSION, ExpectedValues, FeatureData, FeatureShare, Incident, Result
from schemas.task import EntityValue
from streams.forest import ForestSpec, Steps, open_bank
from streams.forest.arrays import Float64Array, Int64Array
from streams.formats.time import to_time
from streams.formats.values import Unusable, to_number

OWNER = "detect"
Kind = Literal["avg", "sum", "min", "max", "count"]
INTERVALS = tuple(
    1000 * seconds
    for seconds in (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400)
)


@dataclass(frozen=True)
class Feature:
    """``kind`` of the values of ``column`` in a window."""

    kind: Kind
    column: str

    @classmethod
    def parse(cls, text: str) -> Feature:
        """Read ``avg:cpu``. Raises ``Refused`` (400).

        >>> Feature.parse("max:latency")
        Feature(kind='max', column='latency')
        """
        kind, _, column = text.partition(":")
        if kind not in ("avg", "sum", "min", "max", "count") or not column:
            raise Refused(400, f"{text!r} is no feature: say KIND:COLUMN with avg, sum, min, max or count")
        return cls(kind, column)  # type: ignore[arg-type]

    @property
    def name(self) -> str:
        """The feature's name in results."""
        return f"{self.kind}_{self.column}"


@dataclass(frozen=True)
class Records:
    """What a file holds: times (epoch ms), entity numbers and the values [n, columns], NaN for none."""

    times: Int64Array
    entities: Int64Array
    values: Float64Array
    keys: list[str]
    unusable: int


@dataclass(frozen=True)
class Windows:
    """The windows that hold records, by their end and then by entity: ``values`` [n, features]."""

    ends: Int64Array
    entities: Int64Array
    values: Float64Array
    interval: int


def read_rows(file: TextIO) -> Iterator[dict[str, Any]]:
    """The records of a CSV file with a header, or of a file with a JSON object a line: told by the first character."""
    first = next(file, "")
    lines = chain([first], file)
    if first.lstrip().startswith("{"):
        for line in lines:
            if line.strip():
                try:
                    row = msgspec.json.decode(line)
                except (msgspec.DecodeError, RecursionError):
                    row = None
                yield row if isinstance(row, dict) else {}
    else:
        yield from csv.DictReader(lines)


def read_records(rows: Iterable[dict[str, Any]], time: str, features: Sequence[Feature], by: Sequence[str]) -> Records:
    """Take the records in. One without a usable time or entity is counted as unusable; a value that is no number
    is missing."""
    columns = list(dict.fromkeys(feature.column for feature in features))
    codes: dict[str, int] = {}
    times, entities, unusable = [], [], 0
    values: list[float] = []
    names = sorted(by)
    for row in rows:
        try:
            moment = to_time(row.get(time))
        except Unusable:
            unusable += 1
            continue
        categories = [row.get(name) for name in names]
        if any(category is None or category == "" for category in categories):
            unusable += 1
            continue
        times.append(moment)
        entities.append(codes.setdefault(entity_key(tuple(map(str, categories))), len(codes)))
        values += [_number(row.get(column)) for column in columns]
    table = np.array(values, np.float64).reshape(len(times), len(columns))
    return Records(np.array(times, np.int64), np.array(entities, np.int64), table, list(codes), unusable)


def _number(value: Any) -> float:
    try:
        return to_number(value)
    except Unusable:
        return np.nan


def find_interval(records: Records) -> int:
    """The shortest usual interval in which an entity usually has a record."""
    order = np.lexsort((records.times, records.entities))
    times, entities = records.times[order], records.entities[order]
    gaps = np.diff(times)[(np.diff(entities) == 0) & (np.diff(times) > 0)]
    if not len(gaps):
        raise Refused(400, "No interval can be found in the data; give one with --interval")
    usual = float(np.median(gaps))
    return next((interval for interval in INTERVALS if interval >= 0.99 * usual), INTERVALS[-1])


def aggregate(records: Records, features: Sequence[Feature], interval: int) -> Windows:
    """One row for each window ``[k * interval, (k + 1) * interval)`` and entity with records in it."""
    keys = np.stack([records.times // interval, records.entities], axis=1)
    found, place = np.unique(keys, axis=0, return_inverse=True)
    place = place.reshape(-1)
    columns = list(dict.fromkeys(feature.column for feature in features))
    values = np.empty((len(found), len(features)))
    for number, feature in enumerate(features):
        column = records.values[:, columns.index(feature.column)]
        known = ~np.isnan(column)
        values[:, number] = _reduced(feature.kind, place[known], column[known], len(found))
    return Windows((found[:, 0] + 1) * interval, found[:, 1], values, interval)


def _reduced(kind: Kind, place: Int64Array, values: Float64Array, windows: int) -> Float64Array:
    count = np.bincount(place, minlength=windows)
    if kind == "count":
        return count.astype(np.float64)
    if kind in ("min", "max"):
        reduced = np.full(windows, np.inf if kind == "min" else -np.inf)
        (np.minimum if kind == "min" else np.maximum).at(reduced, place, values)
    else:
        reduced = np.bincount(place, values, minlength=windows)
        if kind == "avg":
            reduced = reduced / np.maximum(count, 1)
    return np.where(count > 0, reduced, np.nan)


def score(windows: Windows, entities: int, spec: ForestSpec, at_once: int = 8192) -> Iterator[tuple[slice, Steps]]:
    """Score the windows, some at a time: their places and their outcome."""
    bank = open_bank(spec, entities)
    for start in range(0, len(windows.ends), at_once):
        part = slice(start, start + at_once)
        yield part, bank.step(windows.entities[part], windows.ends[part], windows.values[part])


def result(
    windows: Windows,
    place: int,
    steps: Steps,
    event: int,
    features: Sequence[Feature],
    by: Sequence[str],
    key: str,
) -> Result:
    """The result document of a window: number ``place`` in all, ``event`` among those scored together."""
    end = int(windows.ends[place])
    names = sorted(by)
    explanation = steps.explanations.get(event)
    return Result(
        id=result_id(OWNER, key, end),
        detector_id=OWNER,
        schema_version=SCHEMA_VERSION,
        data_start_time=end - windows.interval,
        data_end_time=end,
        feature_data=[
            FeatureData(feature.name, feature.name, value)
            for feature, value in zip(features, windows.values[place].tolist(), strict=True)
            if value == value
        ],
        anomaly_score=float(steps.score[event]),
        anomaly_grade=float(steps.grade[event]),
        confidence=float(steps.confidence[event]),
        threshold=float(steps.threshold[event]),
        entity=[EntityValue(*pair) for pair in zip(names, entity_values(key, len(names)), strict=True)] or None,
        relevant_attribution=None if explanation is None else _shares(features, explanation.attribution),
        expected_values=None
        if explanation is None
        else [ExpectedValues(explanation.likelihood, _shares(features, explanation.expected))],
        incident=Incident.of(steps.incident[event].tolist(), end, windows.interval),
    )


def _shares(features: Sequence[Feature], numbers: Float64Array) -> list[FeatureShare]:
    return [FeatureShare(feature.name, number) for feature, number in zip(features, numbers.tolist(), strict=True)]
