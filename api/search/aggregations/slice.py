"""What aggregations work on: some documents that can be counted, grouped and filtered, wherever they are."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from api.search.aggregations.intervals import DateGrid, NumberGrid
from api.search.aggregations.kinds import MAX_BUCKETS, MAX_TOP_HITS
from api.search.aggregations.tree import Aggregation
from schemas.errors import Refused
from schemas.query.conditions import Condition
from schemas.query.fields import Field, Types

Grid = DateGrid | NumberGrid


@dataclass(frozen=True)
class Key:
    """What documents are grouped by: a field's values, on a grid if there is one; ``missing`` stands for none.

    ``field`` None is a field that no document has. With ``with_missing`` documents without a value make a group
    of their own, whose key is None.
    """

    field: Field | None
    grid: Grid | None = None
    missing: Any = None
    with_missing: bool = False


@dataclass
class Group:
    """Documents with one key. ``results`` are those aggregations inside it that the slice has made already."""

    key: Any
    count: int
    slice: Slice
    results: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Allowed:
    """What one search may have: buckets, hits of ``top_hits`` in all buckets together, seconds of computing."""

    buckets: int = MAX_BUCKETS
    top_hits: int = MAX_TOP_HITS
    seconds: float = math.inf


ALLOWED = Allowed()


class Budget:
    """How many buckets an answer may still have: a histogram inside a histogram would otherwise fill the memory."""

    def __init__(self, allowed: Allowed) -> None:
        self._most, self._made = allowed.buckets, 0
        self._most_hits, self._hits = allowed.top_hits, 0

    def check(self, count: float) -> None:
        """Raise ``Refused`` when so many more are too many."""
        if self._made + count > self._most:
            raise Refused(
                400,
                f"Trying to create too many buckets. Must be less than or equal to: [{self._most}] but was "
                f"[{self._made + min(count, 1e15):.0f}]. This limit can be set by changing the [search.max_buckets] "
                "cluster level setting.",
                "too_many_buckets_exception",
            )

    def take(self, count: int) -> None:
        """Count so many more. Raises ``Refused`` when they are too many."""
        self.check(count)
        self._made += count

    def take_hits(self, count: int) -> None:
        """Count so many more hits of ``top_hits``. Raises ``Refused`` when they are too many."""
        self._hits += count
        if self._hits > self._most_hits:
            raise Refused(
                400,
                f"Trying to show too many hits in [top_hits]. Must be less than or equal to: [{self._most_hits}] in "
                f"all buckets together but was [{self._hits}]: ask for fewer buckets or a smaller [size]. This limit "
                "can be set by RIVERWATCH_MAX_TOP_HITS",
                "illegal_argument_exception",
            )


class Slice(Protocol):
    """Some documents, or nested objects of them."""

    @property
    def budget(self) -> Budget:
        """How many buckets there may be."""

    @property
    def types(self) -> Types:
        """The field types."""

    @property
    def now(self) -> int:
        """What date math calls now, epoch ms."""

    @property
    def scope(self) -> str:
        """The path of the nested objects, "" for documents."""

    def count(self) -> int:
        """How many there are."""

    def metric(self, aggregation: Aggregation, field: Field | None) -> dict[str, Any]:
        """The result of a metric aggregation."""

    def groups(self, keys: tuple[Key, ...], inside: Mapping[str, Aggregation]) -> list[Group]:
        """The groups of one key (``key`` is it) or several (``key`` is a tuple), in no order."""

    def keep(self, groups: list[Group]) -> list[Group]:
        """Some of the groups, when nothing will be asked of the others any more."""

    def where(self, condition: Condition) -> Slice:
        """Those that make the condition true."""

    def nested(self, field: Field) -> Slice:
        """The nested objects of these documents."""

    def root(self) -> Slice:
        """The documents that these nested objects are of."""

    def top_hits(self, settings: dict[str, Any]) -> dict[str, Any]:
        """The best documents, as ``hits``."""
