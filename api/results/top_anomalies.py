"""Requests for the entities with the worst or the most anomalies. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from schemas.errors import Refused
from schemas.query import Query
from schemas.query.tree import Bool, Exists, Range, Term
from schemas.token import as_array, as_integer, as_text, illegal_argument, validation_failed

MAX_SIZE = 1000

_LONG = 2**63 - 1


@dataclass(frozen=True)
class TopAnomalies:
    """A request. ``task_id`` None means real-time results."""

    detector_id: str
    fields: tuple[str, ...]
    task_id: str | None
    start: int
    end: int
    by_count: bool
    size: int

    def query(self) -> Query:
        """The query for the results; only those with a grade above 0 count."""
        span = Range(field="data_end_time", lower=self.start, upper=self.end)
        if self.task_id is not None:
            return Bool(filter=(span, Term(field="task_id", value=self.task_id)))
        owner = Term(field="detector_id", value=self.detector_id)
        return Bool(filter=(span, owner), must_not=(Exists(field="task_id"),))


def read_bounds(body: Mapping[str, Any]) -> tuple[int, int]:
    """The time range (epoch ms), which is checked first. Raises ``Refused`` (400)."""
    start, end = body.get("start_time_ms"), body.get("end_time_ms")
    if start is None or end is None:
        raise validation_failed("Must set both start time and end time with epoch of milliseconds")
    start, end = as_integer(start, _LONG), as_integer(end, _LONG)
    if start >= end:
        raise validation_failed("Start time should be before end time")
    return start, end


def read_request(
    body: Mapping[str, Any], detector_id: str, categories: Sequence[str], latest_task: str | None, *, historical: bool
) -> TopAnomalies:
    """A request about a detector. Raises ``Refused`` in OpenSearch's order.

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
    if size > MAX_SIZE:
        raise illegal_argument(f"Size cannot exceed {MAX_SIZE}")
    if size <= 0:
        raise illegal_argument("Size must be a positive integer")
    return TopAnomalies(detector_id, fields, task_id, start, end, order == "occurrence", size)
