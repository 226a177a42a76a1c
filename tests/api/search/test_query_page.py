"""docs/query.md names every clause and every aggregation, what is refused by name, and no other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from api.search.aggregations.kinds import KNOWN
from api.search.aggregations.tree import parse_aggregations
from schemas.errors import Refused
from schemas.query import parse_query
from schemas.query.errors import DEFAULT_LIMITS
from schemas.query.parse import known_clauses

PAGE = (Path(__file__).parents[3] / "docs" / "query.md").read_text()


def first_column(heading: str) -> set[str]:
    """The names in the first column of a section's table."""
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (`[^|]*) \|", section, re.MULTILINE)
    return {name for row in rows for name in re.findall(r"`([a-z_]+)`", row)}


def test_every_clause_is_documented_and_no_other() -> None:
    assert first_column("Clauses") == known_clauses()


def test_every_aggregation_is_documented_and_no_other() -> None:
    assert first_column("Aggregations") == KNOWN


@pytest.mark.parametrize("name", ["boosting", "fuzzy", "function_score", "script_score", "span_near", "knn", "wrapper"])
def test_refused_by_name(name: str) -> None:
    with pytest.raises(Refused, match=rf"\[{name}\] query is not supported"):
        parse_query({name: {}})


def test_aggregations_refused_by_name() -> None:
    with pytest.raises(Refused, match=r"\[significant_terms\] is not supported"):
        parse_aggregations({"a": {"significant_terms": {"field": "state"}}}, DEFAULT_LIMITS)
