from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from schemas.query.tree import Term
from streams.features.columns import Column, Input, NumberColumn
from streams.features.distinct import DistinctColumn
from streams.features.plan import Plan
from streams.features.quantiles import QuantileColumn
from streams.kafka.murmur2 import partition_of
from tests.schemas.documents import feature
from tests.streams.ingest.plans import plan

NUMBER = Input("v")


@pytest.mark.parametrize(
    ("kind", "columns"),
    [
        ("sum", [NumberColumn("sum", NUMBER)]),
        ("avg", [NumberColumn("sum", NUMBER), NumberColumn("count", NUMBER)]),
        ("min", [NumberColumn("min", NUMBER)]),
        ("max", [NumberColumn("max", NUMBER)]),
        ("value_count", [NumberColumn("count", Input("v", "presence"))]),
    ],
)
def test_the_columns_of_each_kind(kind: str, columns: list[Column]) -> None:
    assert list(plan(feature("f", kind, "v")).columns) == columns


def kinds(built: Plan) -> list[str]:
    """The columns, all of numbers."""
    return [column.kind for column in built.columns if isinstance(column, NumberColumn)]


def values(built: Plan, **columns: list[float]) -> list[list[float]]:
    """The features of entities whose columns (by kind) are given."""
    arrays = [np.array(columns[kind], np.float64) for kind in kinds(built)]
    return built.feature_values(arrays).T.tolist()


def test_features_share_columns_and_come_in_the_order_of_the_detector() -> None:
    built = plan(*(feature(kind, kind, "v") for kind in ("avg", "min", "sum", "max")))
    assert kinds(built) == ["sum", "count", "min", "max"]
    assert values(built, sum=[6], count=[4], min=[-1], max=[5]) == [[1.5], [-1], [6], [5]]


def after(built: Plan, *entities: list[float]) -> list[list[float]]:
    """The features of entities that have had records with these values, NaN for a record without the field."""
    rows = np.repeat(np.arange(len(entities)), [len(each) for each in entities])
    columns = [column.empty(len(entities)) for column in built.columns]
    for column, accumulators in zip(built.columns, columns, strict=True):
        column.fold(accumulators, rows, np.array([value for each in entities for value in each], np.float64))
    return built.feature_values(columns).tolist()


ADDED_UP = [feature(kind, kind, "v") for kind in ("sum", "value_count", "cardinality")]
PICKED = [feature(kind, kind, "v") for kind in ("avg", "min", "max", "percentiles", "median_absolute_deviation")]


def test_records_without_the_field_add_up_to_zero_and_nothing_is_picked_from_them() -> None:
    assert after(plan(*ADDED_UP), [np.nan, np.nan]) == [[0, 0, 0]]
    assert np.isnan(after(plan(*PICKED), [np.nan, np.nan])).all()


def test_without_a_record_everything_is_missing() -> None:
    assert np.isnan(after(plan(*ADDED_UP), [])).all()
    assert np.isnan(after(plan(*PICKED), [])).all()


def test_zeros_of_either_sign_are_values() -> None:
    built = plan(*(feature(kind, kind, "v") for kind in ("sum", "avg", "min", "max")))
    assert after(built, [-0.0], [0.0], [-0.0, 0.0]) == [[0, 0, 0, 0]] * 3


def test_disabled_features_are_left_out() -> None:
    built = plan(feature("a", "sum", "v"), feature("b", "max", "w", feature_enabled=False))
    assert [each.feature_name for each in built.features] == ["a"]
    assert built.inputs == (NUMBER,)


def filtered(name: str, host: str) -> dict[str, Any]:
    query = {name: {"filter": {"term": {"host": host}}, "aggs": {"inner": {"sum": {"field": "v"}}}}}
    return {"feature_name": name, "feature_enabled": True, "aggregation_query": query}


def test_a_filter_makes_an_input_of_its_own() -> None:
    built = plan(filtered("a", "a"), filtered("b", "b"), feature("all", "sum", "v"))
    wanted = [
        Input("v", filter=Term(field="host", value="a")),
        Input("v", filter=Term(field="host", value="b")),
        NUMBER,
    ]
    assert list(built.inputs) == wanted
    assert [column.input for column in built.columns] == wanted


def test_categories_are_sorted_and_match_all_is_no_filter() -> None:
    built = plan(category_field=["z", "a"], filter_query={"match_all": {}})
    assert built.categories == ("a", "z")
    assert built.filter is None


def test_a_models_partition_is_that_of_its_key() -> None:
    assert plan(owner="d1", partitions=8).model_partition("host-1") == partition_of(b"d1|host-1", 8)


def test_cardinality_and_percentiles_have_sketches() -> None:
    built = plan(
        feature("c", "cardinality", "user"), feature("p", "percentiles", "v"), feature("q", "percentiles", "v")
    )
    assert list(built.columns) == [DistinctColumn(Input("user", "hash")), QuantileColumn(NUMBER)]
    accumulators = [column.empty(2) for column in built.columns]
    for column, several in zip(built.columns, accumulators, strict=True):
        column.fold(several, np.zeros(3, np.int64), np.array([5.0, 6.0, 6.0]))
    found = built.feature_values(accumulators)
    assert found[0].tolist() == [2.0, pytest.approx(5.02), pytest.approx(5.02)]
    assert np.isnan(found[1]).all()


def test_a_sum_that_no_double_holds_is_a_gap() -> None:
    built = plan(feature("s", "sum", "v"), feature("a", "avg", "v"))
    accumulators = [column.empty(1) for column in built.columns]
    for column, several in zip(built.columns, accumulators, strict=True):
        column.fold(several, np.zeros(2, np.int64), np.array([1.7e308, 1.7e308]))
    assert np.isnan(built.feature_values(accumulators)).all()
