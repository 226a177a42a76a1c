"""A detector's or a feature's filter over the points of a fetch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from schemas.kafka_fields import is_kafka_field
from schemas.query import Query, compile_query
from streams.ingest.filters import compile_filter
from streams.ingest.layout import Layout
from streams.ingest.points import Odd, Points

BoolArray = npt.NDArray[np.bool_]


class PointFilter:
    """A query over the fields that it names."""

    def __init__(self, query: Query, layout: Layout) -> None:
        self._matches = compile_query(query)
        self._many = None if layout.whole else compile_filter(query)
        # With layout.whole there may be patterns among the fields, but then no point asks for them.
        self._paths = [path for path in query.fields() if path in layout.getters]
        self._kafka_paths = [path for path in query.fields() if is_kafka_field(path)]

    def matching(self, points: Points) -> BoolArray:
        """Which points match."""
        if self._many is None:
            return np.fromiter(map(self._matches, self._documents(points, range(len(points.points)))), bool)
        found = self._many(points.of_plain, len(points.points))
        for place, document in zip(points.odd, self._documents(points, points.odd), strict=True):
            found[place] = self._matches(document)
        return found

    def _documents(self, points: Points, places: Sequence[int]) -> Iterator[Mapping[str, Any]]:
        kafka = {path: points.of_plain(path) for path in self._kafka_paths if places}
        for place in places:
            point = points.points[place]
            added = {path: values[place] for path, values in kafka.items() if values[place] is not None}
            if type(point) is Odd:
                yield {**point.document, **added} if added else point.document
            else:
                found = ((path, points.getters[path](point)) for path in self._paths)
                yield {path: value for path, value in found if value is not None} | added
