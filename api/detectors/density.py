"""Whether data are dense enough for a model, and what to change when they are not (``_validate/model``, ``_suggest``).

Pure.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from api.detectors.sample import time_of
from schemas.detector import Detector
from schemas.interval import Interval
from schemas.query.values import field_values
from schemas.time_unit import TimeUnit

MINUTE = 60_000
MEASURED_DELAY = MINUTE
"""Delays (ms) up to this are covered by the measured delay of a detector without ``window_delay``."""

DENSE = 0.75
"""Data are dense when at least this share of the last intervals has a record."""

DENSE_AFTER_FILTER = 0.25
LONGEST_MINUTES = 60
MAX_HISTORY = 10_000

Record = Mapping[str, Any]


@dataclass(frozen=True)
class Data:
    """The newest records with their event times, and how far back all records reach (epoch ms)."""

    records: Sequence[tuple[int, Record]]
    oldest: int
    complete: bool
    """Whether ``records`` are all records of the topics; otherwise the time before them is unknown, not empty."""

    @property
    def newest(self) -> int:
        """The highest event time."""
        return self.records[-1][0]


def timed(records: Iterable[Record], time_field: str, unit: TimeUnit | None = None) -> list[tuple[int, Record]]:
    """The records with an event time, sorted by it."""
    found = []
    for record in records:
        for value in field_values(record, time_field):
            moment = time_of(value, unit)
            if moment is not None:
                found.append((moment, record))
                break
    found.sort(key=lambda pair: pair[0])
    return found


def coverage(data: Data, times: Iterable[int], interval: int, intervals: int) -> float:
    """The share of the last ``intervals`` intervals that contain one of ``times``.

    >>> coverage(Data([(600_000, {})], 0, True), [540_000, 600_000], 60_000, 4)
    0.5
    """
    end = data.newest
    wanted = intervals
    if not data.complete:
        wanted = max(1, min(intervals, (end - data.records[0][0]) // interval))
    hit = {(end - moment) // interval for moment in times if end - moment < wanted * interval}
    return len(hit) / wanted


def best_interval(data: Data, intervals: int) -> int | None:
    """The shortest interval (minutes) at which the data are dense; None when there is none up to an hour."""
    times = [moment for moment, _ in data.records]
    for minutes in range(1, LONGEST_MINUTES + 1):
        if coverage(data, times, minutes * MINUTE, intervals) >= DENSE:
            return minutes
    return None


def model_issue(
    detector: Detector,
    data: Data | None,
    now: int,
    matches: Callable[[Record], bool],
    feature_matches: Sequence[tuple[str, Callable[[Record], bool]]],
) -> dict[str, Any] | None:
    """The first obstacle to a model, as ``_validate/model`` reports it.

    ``matches`` is the detector's data filter; ``feature_matches`` tells for each enabled feature whether a record
    has a value for it.
    """
    if data is None or not data.records:
        return _issue("time_field", "There isn't enough historical data found with current timefield selected.")
    times = [moment for moment, _ in data.records]
    interval, history = detector.window_interval_ms, detector.history
    if coverage(data, times, interval, history) < DENSE:
        return _interval_issue(data, history)
    age = math.ceil((now - data.newest) / MINUTE)
    delay = MEASURED_DELAY if detector.window_delay is None else detector.window_delay_ms
    if (now - data.newest) > delay and age * MINUTE > delay:
        text = f"Latest seen data point is at least {age} minutes ago. Consider changing window delay to at least "
        return _issue("window_delay", f"{text}{age} minutes.", Interval(age, "Minutes"))
    kept = [(moment, record) for moment, record in data.records if matches(record)]
    if coverage(data, [moment for moment, _ in kept], interval, history) < DENSE_AFTER_FILTER:
        text = "Data is too sparse after data filter is applied. Consider changing the data filter"
        return _issue("filter_query", text)
    if detector.category_fields:
        issue = _category_issue(detector, data, kept)
        if issue is not None:
            return issue
    return _feature_issue(detector, data, kept, feature_matches)


def _interval_issue(data: Data, history: int) -> dict[str, Any]:
    minutes = best_interval(data, history)
    if minutes is None:
        text = "Source index data is potentially too sparse for model training. "
        return _issue("indices", text + "Consider changing interval length or ingesting more data")
    text = f"The selected interval might collect sparse data. Consider changing interval length to: {minutes} minutes"
    return _issue("detection_interval", text, Interval(minutes, "Minutes"))


def _category_issue(detector: Detector, data: Data, kept: Sequence[tuple[int, Record]]) -> dict[str, Any] | None:
    """The entity with the most records must be dense enough by itself."""
    of_entity: dict[tuple[str, ...], list[int]] = {}
    for moment, record in kept:
        values = tuple(str(next(iter(field_values(record, field)), "")) for field in detector.category_fields)
        if all(values):
            of_entity.setdefault(values, []).append(moment)
    if not of_entity:
        text = "No entity was found with the given categorical fields. "
        return _issue("category_field", text + "Consider revising category field/s or ingesting more data")
    largest = max(of_entity.values(), key=len)
    if coverage(data, largest, detector.window_interval_ms, detector.history) < DENSE_AFTER_FILTER:
        text = "Data is most likely too sparse with the given category fields. "
        return _issue("category_field", text + "Consider revising category field/s or ingesting more data.")
    return None


def _feature_issue(
    detector: Detector,
    data: Data,
    kept: Sequence[tuple[int, Record]],
    feature_matches: Sequence[tuple[str, Callable[[Record], bool]]],
) -> dict[str, Any] | None:
    text = "Data is most likely too sparse when given feature queries are applied. Consider revising feature queries"
    sparse = {}
    for name, has_value in feature_matches:
        times = [moment for moment, record in kept if has_value(record)]
        if coverage(data, times, detector.window_interval_ms, detector.history) < DENSE_AFTER_FILTER:
            sparse[name] = text
    if not sparse:
        return None
    issue = _issue("feature_attributes", ", ".join(f"{text}: {name}" for name in sparse))
    issue["model"]["feature_attributes"]["sub_issues"] = sparse
    return issue


def _issue(field: str, message: str, suggested: Interval | None = None) -> dict[str, Any]:
    issue: dict[str, Any] = {"message": message}
    if suggested is not None:
        issue["suggested_value"] = suggested.document()
    return {"model": {field: issue}}


SUGGESTIONS = ("detection_interval", "history", "window_delay")


def suggestions(detector: Detector, asked: Sequence[str], data: Data | None, now: int) -> dict[str, Any]:
    """The answer of ``_suggest``: an interval at which the data are dense, the length of the history, a delay."""
    answer: dict[str, Any] = {}
    minutes = None if data is None or not data.records else best_interval(data, detector.history)
    if minutes is not None and {"detection_interval", "history"} & set(asked):
        answer["interval"] = Interval(minutes, "Minutes").document()
    if "history" in asked and data is not None and data.records:
        span = (data.newest - data.oldest) // ((minutes or 1) * MINUTE)
        answer["history"] = max(detector.history, min(MAX_HISTORY, span))
    if "window_delay" in asked and data is not None and data.records:
        interval = detector.window_interval_ms
        delay = 0 if data.newest > now else (math.ceil((now - data.newest) / interval) + 1) * interval
        answer["windowDelay"] = Interval(math.ceil(delay / MINUTE), "Minutes").document()
    return answer
