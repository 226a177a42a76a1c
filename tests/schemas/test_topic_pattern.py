from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from schemas.topic_pattern import matches_topic
from tests.schemas.documents import parsed


@given(st.text("ab*?.", max_size=8), st.text("ab.", max_size=8))
def test_patterns_are_what_a_regular_expression_says(pattern: str, topic: str) -> None:
    expression = ".*".join(map(re.escape, pattern.split("*")))
    assert matches_topic(pattern, topic) == (re.fullmatch(expression, topic) is not None)


def test_many_stars_on_a_long_name_are_no_work() -> None:
    # A backtracking expression would need more steps than there are seconds left.
    stars = parsed(indices=["*a" * 60 + "b"])
    assert not stars.reads("a" * 249)
    assert stars.reads("a" * 248 + "b")
