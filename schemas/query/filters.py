"""Filter queries of detectors as tests of records, which have no mapping."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from schemas.query.bind import bind
from schemas.query.fields import RECORDS
from schemas.query.memory import Documents, Test, compile_condition
from schemas.query.tree import Query


def compile_filter(query: Query) -> Test:
    """A test of many records. Raises ``Refused`` for patterns and dates that can't be used.

    >>> from schemas.query import parse_query
    >>> hot = compile_filter(parse_query({"range": {"cpu": {"gt": 90}}}))
    >>> hot(Documents([{"cpu": 95}, {}, {"cpu": [1, 99]}])).tolist()
    [True, False, True]
    """
    return compile_condition(bind(query, RECORDS, None))


def compile_query(query: Query) -> Callable[[Mapping[str, Any]], bool]:
    """A test of one record; for many at once ``compile_filter`` is quicker."""
    test = compile_filter(query)
    return lambda record: bool(test(Documents((record,)))[0])
