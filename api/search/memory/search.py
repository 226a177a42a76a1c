"""A search over documents in memory."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable
from itertools import compress
from typing import Any

from api.search.aggregations.aggregate import aggregate
from api.search.aggregations.slice import ALLOWED, Allowed, Budget
from api.search.bind.sorting import BoundKey, bind_sort, is_after, ordered, text_field
from api.search.cost import MEMORY, price, price_of_aggregations, refuse_above
from api.search.deadline import Deadline
from api.search.memory.scoring import Row, constant_score, hit_values, rows_of, scorer, valued
from api.search.memory.slice import MemorySlice
from api.search.memory.table import Candidates, DocumentTable, H, Hit
from api.search.request import SearchRequest
from api.search.response import Shown, hit_document, search_response
from schemas.errors import Refused
from schemas.query import Query
from schemas.query.bind import bind
from schemas.query.conditions import Everything
from schemas.query.fields import Field, Types, nested_path, stored_path
from schemas.query.memory import compile_condition, getter


def search_documents(
    request: SearchRequest,
    documents: Iterable[Hit],
    types: Types,
    index: str,
    now: int,
    allowed: Allowed = ALLOWED,
    deadline: Deadline | None = None,
) -> dict[str, Any]:
    """The answer to a search in OpenSearch's shape.

    ``documents`` is a ``DocumentTable``, whose indexes are used, or anything that gives documents in the order
    that hits have when nothing else orders them. ``types`` are the field types (``mappings``), ``index`` the name
    that hits carry, ``now`` epoch ms for date math. Raises ``Refused`` when the search can't be carried out or needs
    more than what is ``allowed``, 504 once ``deadline`` is over.
    """
    started = time.perf_counter()
    deadline = deadline or Deadline()
    if isinstance(documents, DocumentTable):
        count = len(documents.candidates(bind(request.query, types, now)))
    else:
        documents = list(documents)
        count = len(documents)
    refuse_above(allowed.seconds, _price(request, types, now), count)
    found = matching_documents(request.query, documents, types, now, deadline)
    aggregations: dict[str, Any] | None = None
    if request.aggregations:
        items = [(hit, hit.source) for hit in found]
        slice_ = MemorySlice(items, types, now, index, budget=Budget(allowed), deadline=deadline)
        aggregations = aggregate(request.aggregations, slice_)
    if request.post_filter is not None:
        found = matching_documents(request.post_filter, found, types, now, deadline)
    keys = bind_sort(request.sort, types)
    rows, max_score = _best(request, found, keys, types, now, deadline)
    shown = Shown(index, request.source, fields=request.docvalue_fields, types=types, collapsed=request.collapse)
    hits = []
    for values, hit in rows:
        score = values[-1] if request.by_score else None
        hits.append(hit_document(shown, hit, score, keys, values[: len(keys)]))
    took = int((time.perf_counter() - started) * 1000)
    return search_response(took, len(found), request.tracked, max_score, hits, aggregations)


def _price(request: SearchRequest, types: Types, now: int) -> float:
    """What a search costs a document, in microseconds."""
    queries = [request.query, *([] if request.post_filter is None else [request.post_filter])]
    if request.by_score and constant_score(request.query) is None:
        queries.append(request.query)  # asked again, clause by clause
    wanted = sum(price(bind(query, types, now), MEMORY) for query in queries)
    sorts = MEMORY.value * len(request.sort)
    return wanted + sorts + price_of_aggregations(request.aggregations, types, now, MEMORY)


def looked_at(request: SearchRequest, table: DocumentTable[H], types: Types, now: int) -> Candidates[H]:
    """The documents of the table that ``search_documents`` needs to see; the table may then change."""
    return table.candidates(bind(request.query, types, now))


def matching_documents(
    query: Query, documents: Iterable[Hit], types: Types, now: int, deadline: Deadline | None = None
) -> list[Hit]:
    """The documents that a query matches, in their order. Raises ``Refused`` (504) once ``deadline`` is over."""
    condition = bind(query, types, now)
    if isinstance(condition, Everything):
        return list(documents)
    candidates = documents.candidates(condition).read() if isinstance(documents, DocumentTable) else documents
    test = compile_condition(condition)
    parts = (deadline or Deadline()).parts(candidates)
    return [hit for some in parts for hit in compress(some, test(rows_of(some)))]


def _best(
    request: SearchRequest,
    found: Collection[Hit],
    keys: tuple[BoundKey, ...],
    types: Types,
    now: int,
    deadline: Deadline,
) -> tuple[list[Row], float | None]:
    """The page of hits that was asked for, each with its sort values and, when it is wanted, its score behind."""
    if request.size == 0:
        return [], None
    constant = constant_score(request.query)
    page = slice(request.start, request.start + request.size)
    if not keys and constant is not None and request.collapse is None:
        shown = list(found)[page]
        return [((constant,), hit) for hit in shown], constant if found else None
    by_score = request.by_score
    reads = [hit_values(key, request.query, types, now) for key in keys]
    if by_score:
        scores = scorer(request.query, types, now)
        reads.append(lambda hits: scores(rows_of(hits)).tolist())
    rows = valued(found, reads, deadline)
    best = max((row[0][-1] for row in rows), default=None) if by_score else None
    if keys:
        rows = ordered(rows, keys)
    else:
        rows.sort(key=lambda row: -row[0][-1])
    if request.search_after is not None:
        after = tuple(key.read(value) for key, value in zip(keys, request.search_after, strict=True))
        rows = [row for row in rows if is_after(row[0][: len(keys)], after, keys)]
    if request.collapse is not None:
        rows = _collapsed(rows, request.collapse, types)
    return rows[page], best


def collapse_field(name: str, types: Types) -> Field:
    """The field that hits are collapsed by. Raises ``Refused`` when it can't be."""
    type_ = types.get(name)
    if type_ == "text":
        raise text_field(name)
    if type_ is None or type_ in ("object", "nested") or nested_path(types, name):
        raise Refused(400, f"no mapping found for `{name}` in order to collapse on", "illegal_argument_exception")
    return Field(stored_path(types, name), type_)


def _collapsed(rows: list[Row], name: str, types: Types) -> list[Row]:
    values = getter(collapse_field(name, types))
    seen: set[Any] = set()
    kept = []
    for row in rows:
        key = tuple(values(row[1].source)[:1])
        if key not in seen:
            seen.add(key)
            kept.append(row)
    return kept
