"""The answer of a search in OpenSearch's shape."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from api.search.bind.sorting import BoundKey
from api.search.fields import DocvalueField, SourceFilter, field_values
from api.search.memory.table import Hit
from schemas.query.fields import Types

SHARDS = {"total": 1, "successful": 1, "skipped": 0, "failed": 0}


@dataclass(frozen=True)
class Shown:
    """What is shown of each hit."""

    index: str
    source: SourceFilter
    versions: bool = True
    seq_nos: bool = True
    fields: tuple[DocvalueField, ...] = ()
    types: Types | None = None
    collapsed: str | None = None


def hit_document(
    shown: Shown, hit: Hit, score: float | None, keys: tuple[BoundKey, ...] = (), values: tuple[Any, ...] = ()
) -> dict[str, Any]:
    """One hit. ``values`` are the sort values of ``keys``."""
    document: dict[str, Any] = {"_index": shown.index, "_id": hit.id}
    if shown.versions:
        document["_version"] = hit.version
    if shown.seq_nos:
        document |= {"_seq_no": hit.seq_no, "_primary_term": 1}
    document["_score"] = score
    document["_source"] = shown.source.apply(hit.source)
    if (shown.fields or shown.collapsed) and shown.types is not None:
        wanted = (*shown.fields, DocvalueField(shown.collapsed)) if shown.collapsed else shown.fields
        found = field_values(wanted, shown.types, hit.source)
        if found:
            document["fields"] = found
    if keys:
        document["sort"] = [key.shown(value) for key, value in zip(keys, values, strict=True)]
    return document


def top_hits_response(total: int, score: float | None, hits: list[dict[str, Any]]) -> dict[str, Any]:
    """The result of ``top_hits``."""
    counted = {"value": total, "relation": "eq"}
    return {"hits": {"total": counted, "max_score": score if hits else None, "hits": hits}}


def search_response(
    took: int,
    total: int,
    tracked: int | None,
    max_score: float | None,
    hits: list[dict[str, Any]],
    aggregations: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """The whole answer; ``tracked`` is how far hits are counted (None to the end, 0 not at all).

    >>> search_response(1, 20_000, 10_000, None, [], None)["hits"]["total"]
    {'value': 10000, 'relation': 'gte'}
    """
    counted: dict[str, Any] = {}
    if tracked is None or (tracked > 0 and total <= tracked):
        counted = {"total": {"value": total, "relation": "eq"}}
    elif tracked > 0:
        counted = {"total": {"value": tracked, "relation": "gte"}}
    answer: dict[str, Any] = {
        "took": took,
        "timed_out": False,
        "_shards": dict(SHARDS),
        "hits": {**counted, "max_score": max_score, "hits": hits},
    }
    return answer if aggregations is None else {**answer, "aggregations": dict(aggregations)}
