"""A slice of documents in memory: what aggregations count, group and filter there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import compress, product
from typing import Any

from api.search.aggregations.metrics import metric
from api.search.aggregations.slice import ALLOWED, Budget, Group, Key
from api.search.aggregations.tree import Aggregation
from api.search.bind.sorting import bind_sort, ordered
from api.search.deadline import Deadline
from api.search.memory.scoring import hit_values, valued
from api.search.memory.table import Hit
from api.search.response import Shown, hit_document, top_hits_response
from schemas.query import MatchAll
from schemas.query.bind import typed
from schemas.query.conditions import Condition
from schemas.query.dates import parse_date
from schemas.query.fields import Field, Types
from schemas.query.memory import Documents, compile_condition, getter, objects


@dataclass
class MemorySlice:
    """Documents, each with the object that is looked at: itself, or one of its nested objects at ``scope``."""

    items: list[tuple[Hit, Any]]
    types: Types
    now: int
    index: str
    scope: str = ""
    budget: Budget = field(default_factory=lambda: Budget(ALLOWED))
    deadline: Deadline = field(default_factory=Deadline)

    def _with(self, items: list[tuple[Hit, Any]], scope: str | None = None) -> MemorySlice:
        scope = self.scope if scope is None else scope
        return MemorySlice(items, self.types, self.now, self.index, scope, self.budget, self.deadline)

    def count(self) -> int:
        """How many there are."""
        return len(self.items)

    def metric(self, aggregation: Aggregation, field: Field | None) -> dict[str, Any]:
        """The result of a metric aggregation."""
        missing = aggregation.settings["missing"]
        if field is None:
            values: list[Any] = [] if missing is None else [missing] * len(self.items)
            return metric(aggregation.kind, aggregation.settings, None, values)
        found = getter(field)
        if missing is None:
            values = [value for _, item in self.deadline.over(self.items) for value in found(item)]
        else:
            stands = [parse_date(missing, now=self.now) if field.type == "date" else typed(field.type, missing)]
            values = [value for _, item in self.deadline.over(self.items) for value in found(item) or stands]
        return metric(aggregation.kind, aggregation.settings, field.type, values)

    def groups(self, keys: tuple[Key, ...], inside: Mapping[str, Aggregation]) -> list[Group]:
        """The groups of one key or several."""
        found: dict[Any, list[tuple[Hit, Any]]] = {}
        readers = [_reader(key) for key in keys]
        if len(readers) == 1:
            read = readers[0]
            for pair in self.deadline.over(self.items):
                for key in read(pair[1]):
                    found.setdefault(key, []).append(pair)
        else:
            for pair in self.deadline.over(self.items):
                for combined in product(*(read(pair[1]) for read in readers)):
                    found.setdefault(combined, []).append(pair)
        return [Group(key, len(items), self._with(items)) for key, items in found.items()]

    def keep(self, groups: list[Group]) -> list[Group]:
        """The groups themselves: each has its documents already."""
        return groups

    def where(self, condition: Condition) -> MemorySlice:
        """Those that make the condition true."""
        test = compile_condition(condition)
        kept: list[tuple[Hit, Any]] = []
        for some in self.deadline.parts(self.items):
            kept += compress(some, test(Documents([item for _, item in some], [hit.id for hit, _ in some])))
        return self._with(kept)

    def nested(self, field: Field) -> MemorySlice:
        """The nested objects of these documents."""
        found = objects(field)
        return self._with(
            [(hit, inner) for hit, item in self.deadline.over(self.items) for inner in found(item)], field.path
        )

    def root(self) -> MemorySlice:
        """The documents that these nested objects are of."""
        return self._with([(hit, hit.source) for hit in {hit.id: hit for hit, _ in self.items}.values()], "")

    def top_hits(self, settings: dict[str, Any]) -> dict[str, Any]:
        """The best documents, as ``hits``."""
        keys = bind_sort(settings["sort"], self.types)
        reads = [hit_values(key, MatchAll(), self.types, self.now) for key in keys]
        rows = ordered(valued([hit for hit, _ in self.items], reads, self.deadline), keys)
        rows = rows[settings["from"] : settings["from"] + settings["size"]]
        shown = Shown(self.index, settings["source"], versions=settings["version"], seq_nos=settings["seq_no"])
        score = None if keys else 1.0
        hits = [hit_document(shown, hit, score, keys, values) for values, hit in rows]
        return top_hits_response(len(self.items), score, hits)


def _reader(key: Key) -> Callable[[Any], Iterable[Any]]:
    absent = [key.missing] if key.missing is not None else [None] if key.with_missing else []
    if key.grid is not None:
        absent = [None if one is None else key.grid.floor(one) for one in absent]
    if key.field is None:
        return lambda item: absent
    found, grid = getter(key.field), key.grid

    def read(item: Any) -> Iterable[Any]:
        values: list[Any] = found(item)
        if not values:
            return absent
        if grid is not None:
            values = [grid.floor(value) for value in values]
        return values if len(values) == 1 else dict.fromkeys(values)

    return read
