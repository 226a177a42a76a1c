"""The entities with the worst or the most anomalies (anchor section 1.16): what is asked, and the answer.

Pure: a request body and a detector in, a search for results out; that search's answer in, buckets out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from schemas.errors import Refused
from schemas.token import as_array, as_integer, as_text, illegal_argument

MOST = 1000
MODELS = 10_000
"""Entities that are looked at: those with the most anomalies, or the worst ones, whichever is asked for."""

_LONG = 2**63 - 1


@dataclass(frozen=True)
class TopAnomalies:
    """What is asked for. ``task_id`` None means real-time results."""

    detector_id: str
    fields: tuple[str, ...]
    task_id: str | None
    start: int
    end: int
    by_count: bool
    size: int

    def search(self) -> dict[str, Any]:
        """The search that finds every entity's anomalies."""
        filters: list[dict[str, Any]] = [
            {"range": {"data_end_time": {"gte": self.start, "lte": self.end}}},
            {"range": {"anomaly_grade": {"gt": 0}}},
        ]
        query: dict[str, Any] = {"filter": filters}
        if self.task_id is not None:
            filters.append({"term": {"task_id": self.task_id}})
        else:
            filters.append({"term": {"detector_id": self.detector_id}})
            query["must_not"] = [{"exists": {"field": "task_id"}}]
        order = {"_count": "desc"} if self.by_count else {"grade": "desc"}
        return {
            "size": 0,
            "query": {"bool": query},
            "aggs": {
                "models": {
                    "terms": {"field": "model_id", "size": MODELS, "order": order},
                    "aggs": {
                        "grade": {"max": {"field": "anomaly_grade"}},
                        "entity": {"top_hits": {"size": 1, "_source": ["entity"]}},
                    },
                }
            },
        }

    def buckets(self, answer: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The answer's buckets: entities with the same values in the fields asked for are one."""
        found: dict[tuple[str, ...], dict[str, Any]] = {}
        for model in answer["aggregations"]["models"]["buckets"]:
            hits = model["entity"]["hits"]["hits"]
            entity = {
                each["name"]: each["value"] for each in (hits[0]["_source"].get("entity") if hits else None) or ()
            }
            if any(field not in entity for field in self.fields):
                continue
            key = tuple(entity[field] for field in self.fields)
            bucket = found.setdefault(
                key,
                {"key": dict(zip(self.fields, key, strict=True)), "doc_count": 0, "max_anomaly_grade": 0.0},
            )
            bucket["doc_count"] += model["doc_count"]
            bucket["max_anomaly_grade"] = max(bucket["max_anomaly_grade"], model["grade"]["value"])
        by = "doc_count" if self.by_count else "max_anomaly_grade"
        return sorted(found.values(), key=lambda bucket: bucket[by], reverse=True)[: self.size]


def read_bounds(body: Mapping[str, Any]) -> tuple[int, int]:
    """The time range; the first thing that is refused."""
    start, end = body.get("start_time_ms"), body.get("end_time_ms")
    if start is None or end is None:
        raise _failed("Must set both start time and end time with epoch of milliseconds")
    start, end = as_integer(start, _LONG), as_integer(end, _LONG)
    if start >= end:
        raise _failed("Start time should be before end time")
    return start, end


def read_request(
    body: Mapping[str, Any], detector_id: str, categories: Sequence[str], latest_task: str | None, *, historical: bool
) -> TopAnomalies:
    """What is asked of a detector. Raises ``Refused`` in the anchor's order and words.

    ``latest_task`` is the id of the detector's latest historical task, None when there is none.
    """
    start, end = read_bounds(body)
    if not categories:
        raise illegal_argument(f"No category fields found for detector ID {detector_id}")
    fields = tuple(as_text(name) for name in as_array(body.get("category_field") or list(categories)))
    for name in fields:
        if name not in categories:
            raise illegal_argument(f"Category field {name} doesn't exist for detector ID {detector_id}")
    task_id = None
    if historical:
        task_id = as_text(body["task_id"]) if body.get("task_id") else latest_task
        if task_id is None:
            reason = f"No historical tasks found for detector ID {detector_id}"
            raise Refused(404, reason, "resource_not_found_exception")
    order = as_text(body.get("order") or "severity")
    if order not in ("severity", "occurrence"):
        raise illegal_argument(f"Ordering by {order} is not a valid option")
    size = as_integer(body.get("size", 10))
    if size > MOST:
        raise illegal_argument(f"Size cannot exceed {MOST}")
    if size <= 0:
        raise illegal_argument("Size must be a positive integer")
    return TopAnomalies(detector_id, fields, task_id, start, end, order == "occurrence", size)


def _failed(reason: str) -> Refused:
    return Refused(400, f"Validation Failed: 1: {reason};", "action_request_validation_exception")
