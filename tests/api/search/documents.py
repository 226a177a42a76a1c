"""Documents to search in, as small as they can be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from api.search import TASKS, parse_search, search_documents
from schemas.query.fields import Types
from tests.schemas.query.clauses import DOCUMENTS, NOW


@dataclass(frozen=True)
class Found:
    """A document with what a hit shows of it."""

    id: str
    version: int
    seq_no: int
    source: Mapping[str, Any]


def numbered(documents: Mapping[str, Mapping[str, Any]]) -> list[Found]:
    """Documents in the order in which they are given."""
    return [Found(id, 1, number, source) for number, (id, source) in enumerate(documents.items())]


TASK_DOCUMENTS = numbered(DOCUMENTS)

MINUTE = 60_000
START = 1_795_493_280_000  # 2026-11-24T04:08:00Z
RESULT_SAMPLE = numbered(
    {
        f"{host}{minute}": {
            "detector_id": "d1" if host != "c" else "d2",
            "model_id": f"m-{host}",
            "data_start_time": START + minute * MINUTE,
            "data_end_time": START + (minute + 1) * MINUTE,
            "anomaly_grade": grade,
            "confidence": 0.5,
            "entity": [{"name": "host", "value": f"host-{host}"}, {"name": "region", "value": region}],
            "schema_version": 7,
            **({"task_id": "t1"} if host == "b" else {}),
        }
        for host, region, grades in (("a", "eu", (0.0, 0.9, 0.0)), ("b", "eu", (0.3, 0.0)), ("c", "us", (0.1,)))
        for minute, grade in enumerate(grades)
    }
)


def search(body: Any, documents: Iterable[Found] = TASK_DOCUMENTS, types: Types = TASKS) -> dict[str, Any]:
    """The answer of a search."""
    return search_documents(parse_search(body), documents, types, "index", NOW)


def ids(answer: Mapping[str, Any]) -> str:
    """The ids of the hits, in their order."""
    return "".join(hit["_id"] for hit in answer["hits"]["hits"])
