"""Paths from a bucket to a number inside it, as orders name them: ``nested>max``, ``stats.avg``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from api.search.aggregations.tree import Aggregation
from schemas.errors import Refused


def value_at(results: Mapping[str, Any], path: str, one: Aggregation) -> Any:
    """The number that a path such as ``nested>max`` or ``stats.avg`` leads to in the results of a bucket."""
    names, found, child = path.split(">"), results, one
    for name in names[:-1]:
        found, child = found[name], child.children[name]
        if not isinstance(found, Mapping) or "doc_count" not in found:
            raise Refused(400, f"Invalid aggregation order path [{path}]", "aggregation_execution_exception")
    last, _, member = names[-1].partition(".")
    if last == "_count":
        return found.get("doc_count")
    value = found.get(last)
    if not isinstance(value, Mapping):
        raise Refused(
            400,
            f"Invalid aggregation order path [{path}]. Cannot find aggregation named [{last}]",
            "aggregation_execution_exception",
        )
    if not member:
        member = "value" if "value" in value else "doc_count"
    if "values" in value and member not in value:
        percents = value["values"]
        return percents.get(member, percents.get(f"{member}.0")) if isinstance(percents, Mapping) else None
    if member not in value:
        raise Refused(400, f"Invalid aggregation order path [{path}]", "aggregation_execution_exception")
    return value[member]
