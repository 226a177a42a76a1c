"""Records as the world sends them and detectors that share their fields in every way: strategies for fuzz tests."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from tests.schemas.documents import feature


def weighted(*choices: tuple[int, st.SearchStrategy[Any]]) -> st.SearchStrategy[Any]:
    """One of the strategies, each as often as it says: ``|`` would give every branch inside of them its own share."""
    return st.sampled_from([strategy for weight, strategy in choices for _ in range(weight)]).flatmap(
        lambda strategy: strategy
    )


PATHS = ["a", "a.b", "a.b.c", "a.keyword", "a.b.keyword", "b", "b.c", "t", "t.u", "v", "v.w", "v.w.x.y.z"]
"""Fields of detectors: some are prefixes of others."""

FAMILIES = [
    ["a", "a.b"],
    ["a", "a.b", "v"],
    ["a", "a.keyword"],
    ["a.b", "a.b.keyword"],
    ["a.b", "a.b.c"],
    ["a", "v"],
    ["t", "t.u"],
]
FIELDS = st.shared(
    weighted(
        (3, st.sampled_from(FAMILIES)), (1, st.lists(st.sampled_from(PATHS), min_size=1, max_size=3, unique=True))
    ),
    key="fields",
).flatmap(st.sampled_from)
"""Few of them in one example, the same for its detectors and its records: what matters is who shares them, and how."""

NAMES = [*PATHS, "c", "b.keyword", "keyword", "u", "w", "w.x", "x", "x.y.z", "", "b."]
"""Members of records: the same paths, cut and joined in other places."""


class Raw(str):
    """JSON that Python's writer would not write."""


TEXTS = st.sampled_from(
    [
        *("", "x", "X y", "é|\\", "\x00", "\U0001f600", "x" * 1_500, "true", "nan"),
        *("7", "1.5", "-3", "1e999", "1_000", "٣", " 2 ", "9" * 5_000),
        *("2026-01-01", "1970-01-01T00:00:01Z", "1970-01-01T00:00:02.000Z", "1970-01-01T00:00:0\x00Z"),
    ]
)
NUMBERS = st.integers(-5, 5_000) | st.sampled_from(
    [
        *(0.5, -0.0, 1.0, 1e308, -1e308, 5e-324, 1e300),
        *(2**53, 2**53 + 1, 2**63, -(2**63), 2**64, 10**30, 10**309, -(10**400)),
    ]
)
STRANGE = st.sampled_from(
    [
        *("NaN", "Infinity", "-Infinity", "1e999", "-1e999", "-0", "1E2", "9" * 400, "-" + "9" * 5_000, f"0.{0:0400}1"),
        *('"\\ud800"', '"x\\udc00"', '"\udcff"', '{"a":1,"a":{"b":2}}'),
        *("[" * 100 + "1" + "]" * 100, '{"a":' * 100 + "1" + "}" * 100),
    ]
).map(Raw)
PLAIN = st.none() | st.booleans() | st.integers(0, 9) | st.sampled_from([0.5, "x", "7"])
VALUES = st.recursive(
    weighted((4, PLAIN), (1, NUMBERS), (1, TEXTS), (1, STRANGE)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=3),
    max_leaves=4,
)
TIMES = st.integers(0, 9_000)
MEMBERS = weighted((4, FIELDS), (1, st.sampled_from([*PATHS, "_id", "v.w.x"])))
DOCUMENTS = st.builds(
    lambda time, members: time | members,
    st.builds(lambda time: {"t": time}, TIMES),
    weighted(
        (2, st.dictionaries(MEMBERS, VALUES, min_size=1, max_size=2)), (1, st.dictionaries(MEMBERS, PLAIN, max_size=2))
    ),
)
"""Few members, so that what is odd about one of them meets records that are fine otherwise."""


def written(value: Any) -> str:
    """JSON, with what is ``Raw`` as it is."""
    if isinstance(value, Raw):
        return str(value)
    if isinstance(value, list):
        return "[" + ",".join(map(written, value)) + "]"
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(name)}:{written(member)}" for name, member in value.items()) + "}"
    return json.dumps(value, ensure_ascii=False)


def _encoded(value: Any) -> bytes:
    return written(value).encode(errors="surrogateescape")


DAMAGED = st.sampled_from(
    [b"", b" ", b"[]", b"{", b"\xff", b'{"t":1}x', b"\xef\xbb\xbf{}", b"[" * 5_000, b'{"a":' * 5_000]
)
OBJECTS = DOCUMENTS.map(_encoded)
"""Records that are JSON objects."""

RECORDS: st.SearchStrategy[bytes | None] = weighted(
    (6, OBJECTS),
    (1, (st.lists(DOCUMENTS | VALUES, max_size=3) | VALUES).map(_encoded)),
    (1, DAMAGED | st.none() | st.binary(max_size=9)),
)
"""Values of records: mostly objects, some arrays of them, some damaged."""

# -- detectors ------------------------------------------------------------------------------------------------------

SCALARS = st.sampled_from(
    ["", "x", "X y", "é|\\", "7", "true", "2026-01-01", "9" * 400, True, 7, -1, 1.5, 2**53 + 1, 10**400]
)
BOUNDS = st.dictionaries(st.sampled_from(["gt", "gte", "lt", "lte"]), SCALARS, max_size=2)
NUMBER_BOUNDS = st.dictionaries(st.sampled_from(["gt", "lte"]), st.integers(-5, 5_000), max_size=2)
LEAVES = st.one_of(
    st.builds(lambda field, value: {"term": {field: value}}, FIELDS, SCALARS),
    st.builds(lambda field, value: {"term": {field: {"value": value, "case_insensitive": True}}}, FIELDS, SCALARS),
    st.builds(lambda field, values: {"terms": {field: values}}, FIELDS, st.lists(SCALARS, min_size=1, max_size=3)),
    st.builds(lambda field, bounds: {"range": {field: bounds}}, FIELDS, BOUNDS),
    st.builds(lambda field, bounds: {"range": {field: {**bounds, "format": "epoch_second"}}}, FIELDS, NUMBER_BOUNDS),
    st.builds(lambda field: {"exists": {"field": field}}, FIELDS),
    st.builds(lambda field: {"prefix": {field: "x"}}, FIELDS),
    st.builds(lambda field: {"wildcard": {field: "*x?y*"}}, FIELDS),
    st.builds(lambda field, value: {"match": {field: value}}, FIELDS, SCALARS),
    st.builds(lambda field, value: {"match_phrase": {field: value}}, FIELDS, SCALARS),
    st.builds(lambda field, value: {"match_phrase_prefix": {field: value}}, FIELDS, SCALARS),
    st.sampled_from([{"match_all": {}}, {"match_none": {}}, {"ids": {"values": ["x", "7"]}}]),
)
WHOLE = st.one_of(
    st.builds(lambda field: {"query_string": {"query": "x", "fields": [field + "*"]}}, FIELDS),
    st.builds(lambda text: {"multi_match": {"query": text, "fields": ["a*", "v"]}}, st.sampled_from(["x", "7"])),
    st.builds(lambda text: {"query_string": {"query": text}}, st.sampled_from(["x", "7 OR y", "*"])),
    st.just({"nested": {"path": "a", "query": {"exists": {"field": "a.b"}}}}),
)
"""Queries that have to see the whole record."""


def _compound(inner: Any) -> Any:
    several = st.lists(inner, max_size=2)
    return st.one_of(
        st.builds(
            lambda must, without, should, least: {
                "bool": {
                    "must": must,
                    "must_not": without,
                    "should": should,
                    **({} if least is None else {"minimum_should_match": least}),
                }
            },
            several,
            several,
            several,
            st.sampled_from([None, 0, 1, "50%", "-1"]),
        ),
        st.builds(lambda query: {"constant_score": {"filter": query}}, inner),
    )


QUERIES = st.recursive(LEAVES, _compound, max_leaves=4)
FILTERS = weighted((3, st.none()), (4, QUERIES), (1, WHOLE))
KINDS = st.sampled_from(
    ["sum", "avg", "min", "max", "value_count", "cardinality", "percentiles", "median_absolute_deviation"]
)


def _feature(name: str, kind: str, field: str, query: dict[str, Any] | None) -> dict[str, Any]:
    plain = feature(name, kind, field)
    if query is None:
        return plain
    return {**plain, "aggregation_query": {name: {"filter": query, "aggs": plain["aggregation_query"]}}}


FEATURES = st.lists(st.tuples(KINDS, FIELDS, weighted((3, st.none()), (2, QUERIES))), min_size=1, max_size=3).map(
    lambda chosen: [_feature(f"f{number}", *each) for number, each in enumerate(chosen)]
)
DETECTORS: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        "time_field": st.sampled_from(["t", "t", "t", "t.u", "a"]),
        "category_field": st.lists(FIELDS, unique=True, max_size=2),
        "feature_attributes": FEATURES,
        "filter_query": FILTERS.map(lambda query: ... if query is None else query),
    }
)
"""Members of detector documents."""
