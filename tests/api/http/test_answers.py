"""``filter_path``: what it keeps, and that no expression takes long."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from api.http.answers import MAX_CHARACTERS, MAX_PATTERNS, Filter, Patterns, _advance
from schemas.errors import Refused
from tests.api.conftest import AD, RunningApi

HIT = {"_id": "a", "_source": {"name": "cpu", "features": [{"name": "load", "on": True}, {"name": "x"}]}}
PAYLOAD = {"took": 1, "hits": {"total": {"value": 2}, "hits": [HIT, HIT]}}


@pytest.mark.parametrize(
    ("expression", "kept"),
    [
        ("took", {"took": 1}),
        ("hits.total,t*k", {"took": 1, "hits": {"total": {"value": 2}}}),
        ("**.value", {"hits": {"total": {"value": 2}}}),
        ("hits.**.features.on", {"hits": {"hits": [{"_source": {"features": [{"on": True}]}}] * 2}}),
        ("**.features.**,-**.name,-**.x", {"hits": {"hits": [{"_source": {"features": [{"on": True}]}}] * 2}}),
        ("-hits", {"took": 1}),
        ("-**.features,-hits.total,-took", {"hits": {"hits": [{"_id": "a", "_source": {"name": "cpu"}}] * 2}}),
        ("nothing", {}),
        ("", PAYLOAD),
    ],
)
def test_what_is_kept(expression: str, kept: Any) -> None:
    assert Filter(expression).apply(PAYLOAD) == kept


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        (",".join(f"a{number}" for number in range(MAX_PATTERNS + 1)), "50 patterns"),
        ("**.a.**.b.**", "more than 2 [**]"),
        ("-**.a.**.b.**", "more than 2 [**]"),
        ("a" * (MAX_CHARACTERS + 1), "4096 characters"),
    ],
    ids=["patterns", "anywhere", "excluded anywhere", "characters"],
)
def test_what_would_take_too_long_is_refused(api: RunningApi, expression: str, said: str) -> None:
    for path in ("/", AD + "/detectors/count", "/unknown"):
        answer = api.client.get(f"{path}?filter_path={quote(expression)}")
        assert (answer.status_code, answer.json()["error"]["type"]) == (400, "illegal_argument_exception")
        assert said in answer.json()["error"]["reason"]


def test_the_same_pattern_counts_once() -> None:
    assert Filter(",".join(["took"] * 200)).apply(PAYLOAD) == {"took": 1}


def test_ways_through_a_document_do_not_multiply() -> None:
    pattern = ("**", "a", "**", "a", "c")
    left: Patterns = (pattern,)
    for _ in range(30):
        _, left = _advance(left, "a")
    assert 0 < len(left) <= len(pattern)


def test_one_that_nobody_waits_for_is_broken_off() -> None:
    filter = Filter("**.x")
    filter.cancel()
    with pytest.raises(Refused, match="not answered"):
        filter.apply(PAYLOAD)


def test_errors_are_filtered_too(api: RunningApi) -> None:
    answer = api.client.get(AD + "/detectors/match?filter_path=status,error.type&x=1")
    assert answer.json() == {"error": {"type": "illegal_argument_exception"}, "status": 400}
