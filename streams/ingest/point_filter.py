"""A detector's or a feature's filter over the points of a fetch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from schemas.kafka_fields import is_kafka_field
from schemas.query import Documents, Query, compile_filter
from schemas.query.fields import Field
from schemas.query.memory import BoolArray, Rows, holds_value
from streams.ingest.points import Points


class PointFilter:
    """A query over the fields that it names. Raises ``Refused`` for patterns and dates that can't be used."""

    def __init__(self, query: Query) -> None:
        self._test = compile_filter(query)
        self._kafka_paths = [path for path in query.fields() if is_kafka_field(path)]

    def matching(self, points: Points) -> BoolArray:
        """Which points match."""
        if len(points.odd) == len(points.points):
            return self._test(Documents(list(self._odd(points))))
        found = self._test(_PlainPoints(points))
        if points.odd:
            found[points.odd] = self._test(Documents(list(self._odd(points))))
        return found

    def _odd(self, points: Points) -> Iterator[Mapping[str, Any]]:
        kafka = {path: points.of_plain(path) for path in self._kafka_paths if points.odd}
        for place in points.odd:
            added = {path: values[place] for path, values in kafka.items() if values[place] is not None}
            document = points.points[place].document
            yield {**document, **added} if added else document


class _PlainPoints:
    """Points as the layout reads them.

    None of them is there when a filter has to see whole records (patterns of fields, nested objects): those are odd.
    """

    def __init__(self, points: Points) -> None:
        self._points = points

    def __len__(self) -> int:
        return len(self._points.points)

    def ids(self) -> Iterable[str]:
        """Records have no ids."""
        return ()

    def values(self, field: Field) -> Sequence[Any]:
        """What each has in a field."""
        return self._points.of_plain(field.path)

    def present(self, field: Field) -> BoolArray:
        """Which of them have a value in a field."""
        return np.fromiter(map(holds_value, self.values(field)), bool, len(self))

    def objects(self, field: Field) -> tuple[Rows, Sequence[int]]:
        """No nested objects: filters on them read whole records."""
        raise NotImplementedError

    def leaves(self) -> Iterable[Iterable[tuple[str, Any]]]:
        """Not all values: filters on them read whole records."""
        raise NotImplementedError
