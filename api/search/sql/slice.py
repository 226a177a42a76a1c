"""A slice of the results store: what aggregations count, group and filter, as SQL.

The slices of sibling groups share one ``Rows``: what is asked of one of them is computed for all in one query, by one
more GROUP BY column, and the others find it there. So the number of queries depends on how many aggregations there
are, not on how many buckets.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from api.search.aggregations.aggregate import resolve
from api.search.aggregations.kinds import METRICS
from api.search.aggregations.metrics import metric, metric_result
from api.search.aggregations.slice import Budget, Group, Key
from api.search.aggregations.tree import Aggregation
from api.search.bind.sorting import bind_sort
from api.search.memory.table import Hit
from api.search.response import Shown, hit_document, top_hits_response
from api.search.sql.grid import grid_expression
from api.search.sql.metrics import field_value, metric_columns
from api.search.sql.sorting import order_by, sort_expression
from api.search.sql.writer import Parameters, Writer
from schemas.errors import Refused
from schemas.query import MatchAll
from schemas.query.conditions import Condition
from schemas.query.fields import Field, Types

Run = Callable[[str, Mapping[str, Any]], list[tuple[Any, ...]]]
At = tuple[Any, ...]
Resolve = Callable[[Aggregation], Field | None]
MOST_GROUPS = 200_000
TOGETHER = 2_000
"""Above this many siblings groups and top hits are made for the asked one alone: few of them will be shown."""


@dataclass(frozen=True)
class Source:
    """Where rows come from: ``run`` executes SQL, ``table`` has a row a document, ``fetch`` gives documents by row.

    ``base`` is the FROM part for all documents that may be seen at all.
    """

    run: Run
    fetch: Callable[[Sequence[int]], dict[int, Hit]]
    columns: Mapping[str, str]
    base: str
    parameters: Parameters
    types: Types
    now: int
    index: Callable[[Hit], str]
    budget: Budget


@dataclass
class Rows:
    """Rows of one relation, in groups by its columns ``g0``, ``g1``, ...; all groups are asked together."""

    source: Source
    relation: str
    groups: int = 0
    scopes: Mapping[str, str] = field(default_factory=dict)
    scope: str = ""
    siblings: int = 1
    _known: dict[Any, Any] = field(default_factory=dict)

    def writer(self) -> Writer:
        """Writes conditions on these rows."""
        writer = Writer(self.source.columns, self.source.parameters)
        for path, row in self.scopes.items():
            writer = writer.within(path, row)
        return writer

    def _once(self, what: Any, make: Callable[[], Any]) -> Any:
        if what not in self._known:
            self._known[what] = make()
        return self._known[what]

    def _names(self) -> str:
        return ", ".join(f"g{at}" for at in range(self.groups))

    def grouped(self, columns: Sequence[str]) -> list[tuple[At, At]]:
        """A row of columns for each group. Raises ``Refused`` when there are more groups than the memory holds."""
        by = self._names()
        sql = f"SELECT {', '.join(filter(None, (by, *columns)))} FROM ({self.relation}) rows"
        sql = f"{sql} GROUP BY {by} LIMIT {MOST_GROUPS + 1}" if by else sql
        found = self.source.run(sql, self.source.parameters.of(sql))
        if len(found) > MOST_GROUPS:
            reason = f"An aggregation over results may group by at most [{MOST_GROUPS}] different values"
            raise Refused(400, reason, "too_many_buckets_exception")
        return [(tuple(row[: self.groups]), tuple(row[self.groups :])) for row in found]

    def counts(self) -> dict[At, int]:
        """How many rows each group has; groups without one are left out."""
        return self._once("count", lambda: {at: int(values[0]) for at, values in self.grouped(["count(*)"])})

    def metrics(self, aggregation: Aggregation, field: Field | None) -> dict[At, Any]:
        """The values of a metric's columns in each group."""

        def make() -> dict[At, Any]:
            return dict(self.grouped(metric_columns(aggregation, field, self.writer(), self.source.now)))

        return self._once(id(aggregation), make)

    def where(self, condition: Condition) -> Rows:
        """The rows that make the condition true."""

        def make() -> Rows:
            return self._of(f"SELECT * FROM ({self.relation}) rows WHERE {self.writer().condition(condition)}")

        return self._once(condition, make)

    def only(self, at: At) -> Rows:
        """The rows of one group."""
        tests = [f"g{number} IS NOT DISTINCT FROM {self.source.parameters.add(key)}" for number, key in enumerate(at)]
        relation = f"SELECT * FROM ({self.relation}) rows WHERE {' AND '.join(tests) or 'true'}"
        return self._of(relation, siblings=1)

    def kept(self, ats: Sequence[At]) -> Rows:
        """The rows of some groups, all of which will be asked for."""
        columns = [self.source.parameters.add([at[number] for at in ats]) for number in range(self.groups)]
        picks = ", ".join(f"unnest({column}) AS k{number}" for number, column in enumerate(columns))
        alike = " AND ".join(f"rows.g{number} IS NOT DISTINCT FROM picks.k{number}" for number in range(self.groups))
        rows = self._of(f"SELECT rows.* FROM ({self.relation}) rows JOIN (SELECT {picks}) picks ON {alike}", siblings=1)
        counts = self.counts()
        rows._known["count"] = {at: counts[at] for at in ats if at in counts}
        return rows

    def nested(self, field: Field) -> Rows:
        """A row for each nested object."""

        def make() -> Rows:
            column = self.writer().column(field)
            name = f"n{len(self.scopes)}"
            items = "[]" if column is None else column
            rows = self._of(f"SELECT *, unnest({items}) AS {name} FROM ({self.relation}) rows")
            rows.scopes, rows.scope = {**self.scopes, field.path: name}, field.path
            return rows

        return self._once(("nested", field.path), make)

    def root(self) -> Rows:
        """A row for each document again."""

        def make() -> Rows:
            names = self._names()
            picked = f"SELECT DISTINCT {', '.join(filter(None, ('rid AS picked', names)))} FROM ({self.relation}) rows"
            documents = self.source.base
            rows = self._of(
                f"SELECT documents.*, {names or '0 AS none'} FROM ({documents}) documents JOIN ({picked}) "
                "picks ON documents.rid = picks.picked"
            )
            rows.scopes, rows.scope = {}, ""
            return rows

        return self._once("root", make)

    def _of(self, relation: str, *, siblings: int | None = None) -> Rows:
        siblings = self.siblings if siblings is None else siblings
        return Rows(self.source, relation, self.groups, self.scopes, self.scope, siblings)

    def split(self, keys: tuple[Key, ...], metrics: Mapping[str, Aggregation], resolve: Resolve) -> Split:
        """More columns to group by, one a key; metrics of the new groups are computed in the same query."""

        def make() -> Split:
            writer, relation = self.writer(), self.relation
            names = [f"g{self.groups + number}" for number in range(len(keys))]
            for name, key in zip(names, keys, strict=True):
                relation = self._keyed(relation, name, key, writer)
            present = [f"{name} IS NOT NULL" for name, key in zip(names, keys, strict=True) if not key.with_missing]
            relation = f"SELECT * FROM ({relation}) rows WHERE {' AND '.join(present) or 'true'}"
            inner = Rows(self.source, relation, self.groups + len(keys), self.scopes, self.scope)
            columns, places = ["count(*)"], {}
            for name, one in metrics.items():
                more = metric_columns(one, resolve(one), writer, self.source.now)
                places[name] = slice(len(columns), len(columns) + len(more))
                columns += more
            found: dict[At, list[Part]] = {}
            counts: dict[At, int] = {}
            for at, values in inner.grouped(columns):
                counts[at] = int(values[0])
                part = Part(at, counts[at], {name: values[place] for name, place in places.items()})
                found.setdefault(at[: self.groups], []).append(part)
            inner.siblings = len(counts)
            inner._known["count"] = counts
            return Split(inner, found)

        return self._once(("split", keys, tuple(map(id, metrics.values()))), make)

    def _keyed(self, relation: str, name: str, key: Key, writer: Writer) -> str:
        if key.grid is not None:
            value = field_value(key.field, None, writer, self.source.now)
        else:
            value = (None if key.field is None else writer.column(key.field)) or "NULL::VARCHAR"
        if key.missing is not None:
            value = f"coalesce({value}, {self.source.parameters.add(key.missing)})"
        if key.grid is None:
            return f"SELECT *, {value} AS {name} FROM ({relation}) rows"
        return grid_expression(key.grid, relation, value, name, self.source.parameters, self.source.run)

    def top_hits(self, settings: dict[str, Any]) -> dict[At, list[tuple[Hit, At]]]:
        """The best documents of each group, each with its sort values."""

        def make() -> dict[At, list[tuple[Hit, At]]]:
            source, writer = self.source, Writer(self.source.columns, self.source.parameters)
            keys = bind_sort(settings["sort"], source.types)
            names = [f"s{at}" for at in range(len(keys))]
            sorts = [sort_expression(key, MatchAll(), writer, source.types, source.now) for key in keys]
            shown = ", ".join(f"{value} AS {name}" for value, name in zip(sorts, names, strict=True))
            groups, order = self._names(), order_by(keys, names)
            first, last = settings["from"], settings["from"] + settings["size"]
            partition = f"PARTITION BY {groups} " if groups else ""
            columns = ", ".join(filter(None, (groups, "rid", shown)))
            sql = (
                f"SELECT * FROM (SELECT {columns} FROM ({self.relation}) rows) ranked "
                f"QUALIFY row_number() OVER ({partition}ORDER BY {order}) BETWEEN {first + 1} AND {last} "
                f"ORDER BY {order}"
            )
            ranked = source.run(sql, source.parameters.of(sql))
            documents = source.fetch([row[self.groups] for row in ranked])
            found: dict[At, list[tuple[Hit, At]]] = {}
            for row in ranked:
                at, values = tuple(row[: self.groups]), tuple(row[self.groups + 1 :])
                found.setdefault(at, []).append((documents[row[self.groups]], values))
            return found

        return self._once(("top", id(settings)), make)


@dataclass(frozen=True)
class Part:
    """One new group: where it is, how many rows it has, and the columns of the metrics computed with it."""

    at: At
    count: int
    metrics: Mapping[str, At]


@dataclass(frozen=True)
class Split:
    """New groups, by the group that they lie in."""

    rows: Rows
    found: Mapping[At, list[Part]]


@dataclass(frozen=True)
class SqlSlice:
    """One group of some rows: what the aggregations work on."""

    rows: Rows
    at: At = ()

    @property
    def budget(self) -> Budget:
        """How many buckets there may be."""
        return self.rows.source.budget

    @property
    def types(self) -> Types:
        """The field types."""
        return self.rows.source.types

    @property
    def now(self) -> int:
        """What date math calls now."""
        return self.rows.source.now

    @property
    def scope(self) -> str:
        """The path of the nested objects that the rows are."""
        return self.rows.scope

    def count(self) -> int:
        """How many rows there are."""
        return self.rows.counts().get(self.at, 0)

    def metric(self, aggregation: Aggregation, field: Field | None) -> dict[str, Any]:
        """The result of a metric aggregation."""
        type_ = None if field is None else field.type
        values = self.rows.metrics(aggregation, field).get(self.at)
        if values is None:
            return metric(aggregation.kind, aggregation.settings, type_, [])
        return metric_result(aggregation.kind, aggregation.settings, type_, values)

    def groups(self, keys: tuple[Key, ...], inside: Mapping[str, Aggregation]) -> list[Group]:
        """The groups of one key or several."""
        metrics = {name: one for name, one in inside.items() if one.kind in METRICS}
        fields = {name: resolve(one.settings["field"], self, one.kind)[0] for name, one in metrics.items()}
        rows = self._alone()
        split = rows.split(keys, metrics, lambda one: fields[one.name])
        groups = []
        for part in split.found.get(self.at, ()):
            found = {}
            for name, values in part.metrics.items():
                field = fields[name]
                one, type_ = metrics[name], None if field is None else field.type
                result = metric_result(one.kind, one.settings, type_, values)
                found[name] = result if one.meta is None else {"meta": one.meta, **result}
            key = part.at[-1] if len(keys) == 1 else part.at[-len(keys) :]
            groups.append(Group(key, part.count, SqlSlice(split.rows, part.at), found))
        return groups

    def keep(self, groups: list[Group]) -> list[Group]:
        """Some of the groups, when nothing will be asked of the others: few enough to be asked together."""
        # Buckets that fill the gaps of a histogram are empty slices of the level above: they stay as they are.
        new = {
            id(group): one
            for group in groups
            if isinstance(one := group.slice, SqlSlice) and one.rows.groups > self.rows.groups
        }
        rows = next(iter(new.values())).rows if new else self.rows
        if not new or (rows.siblings <= TOGETHER and rows.siblings < 4 * len(new)):
            return groups
        together = rows.kept([one.at for one in new.values()])
        return [
            replace(group, slice=SqlSlice(together, new[id(group)].at)) if id(group) in new else group
            for group in groups
        ]

    def where(self, condition: Condition) -> SqlSlice:
        """Those that make the condition true."""
        return SqlSlice(self.rows.where(condition), self.at)

    def nested(self, field: Field) -> SqlSlice:
        """The nested objects of these rows."""
        return SqlSlice(self.rows.nested(field), self.at)

    def root(self) -> SqlSlice:
        """The documents that these rows are of."""
        return SqlSlice(self.rows.root(), self.at)

    def top_hits(self, settings: dict[str, Any]) -> dict[str, Any]:
        """The best documents, as ``hits``."""
        source, keys = self.rows.source, bind_sort(settings["sort"], self.types)
        found = self._alone().top_hits(settings).get(self.at, [])
        score = None if keys else 1.0
        hits = []
        for hit, values in found:
            shown = Shown(source.index(hit), settings["source"], settings["version"], settings["seq_no"])
            hits.append(hit_document(shown, hit, score, keys, values))
        return top_hits_response(self.count(), score, hits)

    def _alone(self) -> Rows:
        return self.rows if self.rows.siblings <= TOGETHER else self.rows.only(self.at)
