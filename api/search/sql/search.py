"""A search over the results store, as SQL."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from api.search.aggregations.aggregate import aggregate
from api.search.aggregations.slice import ALLOWED, Allowed, Budget
from api.search.bind.sorting import BoundKey, bind_sort
from api.search.cost import STORE, price, price_of_aggregations, refuse_above
from api.search.memory.scoring import constant_score
from api.search.memory.search import collapse_field
from api.search.memory.table import Hit
from api.search.request import SearchRequest
from api.search.response import Shown, hit_document, search_response
from api.search.sql.slice import Rows, Run, Source, SqlSlice
from api.search.sql.sorting import after, order_by, score_expression, sort_expression
from api.search.sql.writer import Parameters, Writer
from schemas.query.bind import bind
from schemas.query.conditions import Condition, Every, Everything, every
from schemas.query.fields import Types


@dataclass(frozen=True)
class Document:
    """A document of the table, with the number of its row."""

    id: str
    seq_no: int
    source: Mapping[str, Any]
    version: int = 1


@dataclass(frozen=True)
class Table:
    """A table with a row a document: ``id``, ``seq_no`` and ``columns``, the members of the documents."""

    name: str
    columns: Mapping[str, str]
    run: Run

    def fetch(self, rows: Sequence[int]) -> dict[int, Hit]:
        """Documents by the number of their row; members that are NULL are left out."""
        if not rows:
            return {}
        names = ", ".join(f'"{name}"' for name in self.columns)
        found = self.run(
            f"SELECT rowid, id, seq_no, {names} FROM {self.name} WHERE rowid IN (SELECT unnest($rows))",
            {"rows": list(rows)},
        )
        return {
            row[0]: Document(
                row[1],
                row[2],
                {name: value for name, value in zip(self.columns, row[3:], strict=True) if value is not None},
            )
            for row in found
        }

    def relation(self, where: str = "true") -> str:
        """All documents, or those of a condition."""
        return f"SELECT rowid AS rid, * FROM {self.name} WHERE {where}"


def search_table(
    request: SearchRequest,
    table: Table,
    types: Types,
    index: Callable[[Hit], str],
    now: int,
    visible: Condition | None = None,
    allowed: Allowed = ALLOWED,
) -> dict[str, Any]:
    """The answer to a search in OpenSearch's shape, as ``search_documents`` gives it for documents in memory.

    ``visible`` is true for the documents that may be seen at all; ``index`` names the index of a hit. Raises
    ``Refused`` when the search can't be carried out or needs more than what is ``allowed``.
    """
    started = time.perf_counter()
    _refuse_costly(request, table, types, now, visible or Everything(), allowed.seconds)
    parameters = Parameters()
    writer = Writer(table.columns, parameters)
    seen = writer.condition(visible or Everything())
    condition = every(visible or Everything(), bind(request.query, types, now))
    where = writer.condition(condition)
    keys = bind_sort(request.sort, types)
    aggregations: dict[str, Any] | None = None
    if request.aggregations:
        budget = Budget(allowed)
        source = Source(
            table.run, table.fetch, table.columns, table.relation(seen), parameters, types, now, index, budget
        )
        aggregations = aggregate(request.aggregations, SqlSlice(Rows(source, table.relation(where))))
    if request.post_filter is not None:
        where = writer.condition(every(condition, bind(request.post_filter, types, now)))
    search = _Search(request, table, writer, types, now, keys, where)
    hits: list[dict[str, Any]] = []
    best: float | None = None
    page = search.page() if request.size else []
    total = search.total(page)
    if page:
        best = search.best() if request.by_score else None
        documents = table.fetch([rid for rid, _, _ in page])
        for rid, values, score in page:
            hit = documents[rid]
            shown = Shown(
                index(hit), request.source, fields=request.docvalue_fields, types=types, collapsed=request.collapse
            )
            hits.append(hit_document(shown, hit, score if request.by_score else None, keys, values))
    took = int((time.perf_counter() - started) * 1000)
    return search_response(took, total, request.tracked, best, hits, aggregations)


def _refuse_costly(
    request: SearchRequest, table: Table, types: Types, now: int, visible: Condition, most_seconds: float
) -> None:
    """Refuse a search that would take too long. The rows that its cheap clauses leave are counted where it matters."""
    condition = every(visible, bind(request.query, types, now))
    # Where scores differ each clause is asked again for the page, and for the best score.
    times = 3 if request.by_score and constant_score(request.query) is None else 1
    total = times * price(condition, STORE) + STORE.value * len(request.sort)
    if request.post_filter is not None:
        total += price(bind(request.post_filter, types, now), STORE)
    total += price_of_aggregations(request.aggregations, types, now, STORE)
    ((rows,),) = table.run(f"SELECT count(*) FROM {table.name}", {})
    if total * rows / 1e6 > most_seconds:
        parts = condition.parts if isinstance(condition, Every) else (condition,)
        writer = Writer(table.columns, Parameters())
        where = writer.condition(every(*(part for part in parts if price(part, STORE) <= STORE.value)))
        sql = f"SELECT count(*) FROM {table.name} WHERE {where}"
        ((rows,),) = table.run(sql, writer.parameters.of(sql))
    refuse_above(most_seconds, total, rows)


@dataclass(frozen=True)
class _Search:
    request: SearchRequest
    table: Table
    writer: Writer
    types: Types
    now: int
    keys: tuple[BoundKey, ...]
    where: str

    def _run(self, sql: str) -> list[tuple[Any, ...]]:
        return self.table.run(sql, self.writer.parameters.of(sql))

    def total(self, page: Sequence[Any]) -> int:
        """How many match, as far as they are counted; a page that is not full tells it without counting."""
        request, tracked = self.request, self.request.tracked
        if tracked == 0:
            return 0
        partial = request.collapse is not None or request.search_after is not None
        if not partial and len(page) < request.size and (page or request.start == 0):
            return request.start + len(page)
        relation = f"SELECT 1 FROM {self.table.name} WHERE {self.where}"
        if tracked is not None:
            relation += f" LIMIT {tracked + 1}"
        return int(self._run(f"SELECT count(*) FROM ({relation}) found")[0][0])

    def page(self) -> list[tuple[int, tuple[Any, ...], float]]:
        """The rows of the page that was asked for, in order, each with its sort values and its score."""
        request, writer = self.request, self.writer
        names = [f"s{number}" for number in range(len(self.keys))]
        sorts = [sort_expression(key, request.query, writer, self.types, self.now) for key in self.keys]
        score = score_expression(request.query, writer, self.types, self.now) if request.by_score else "0::DOUBLE"
        columns = ["rid", *(f"{sort} AS {name}" for sort, name in zip(sorts, names, strict=True)), f"{score} AS score"]
        where = self.where
        order = order_by(self.keys, names)
        if not self.keys:
            order = "rid" if constant_score(request.query) is not None else "score DESC, rid"
        if request.search_after is not None:
            where = f"{where} AND {after(self.keys, sorts, request.search_after, writer)}"
        collapse = ""
        if request.collapse is not None:
            column = writer.column(collapse_field(request.collapse, self.types)) or "NULL"
            columns.append(f"{column} AS collapsed")
            collapse = f"QUALIFY row_number() OVER (PARTITION BY collapsed ORDER BY {order}) = 1 "
        sql = (
            f"SELECT rid, {', '.join([*names, 'score'])} FROM (SELECT {', '.join(columns)} FROM "
            f"({self.table.relation(where)}) rows) ranked {collapse}"
            f"ORDER BY {order} LIMIT {request.size} OFFSET {request.start}"
        )
        return [(row[0], tuple(row[1:-1]), float(row[-1])) for row in self._run(sql)]

    def best(self) -> float | None:
        """The highest score of all that match."""
        constant = constant_score(self.request.query)
        if constant is not None:
            return constant
        score = score_expression(self.request.query, self.writer, self.types, self.now)
        found = self._run(f"SELECT max({score}) FROM ({self.table.relation(self.where)}) rows")[0][0]
        return None if found is None else float(found)
