from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.errors import Refused
from schemas.query.pattern import compile_regexp, compile_wildcard

texts = st.text("ab*?\\.", max_size=8)


@given(pattern=texts, text=st.text("ab*?\\.", max_size=8))
@settings(max_examples=200)
def test_wildcards_are_what_python_makes_of_them(pattern: str, text: str) -> None:
    parts, characters = [], iter(pattern)
    for character in characters:
        if character == "\\":
            parts.append(re.escape(next(characters, "\\")))
        else:
            parts.append({"*": ".*", "?": "."}.get(character) or re.escape(character))
    assert compile_wildcard(pattern)(text) == bool(re.fullmatch("".join(parts), text, re.DOTALL))


expressions = st.recursive(
    st.sampled_from(["a", "b", ".", "[ab]", "[^a]", "\\.", "c"]),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["?", "*", "+", "{2}", "{1,2}", "{1,}"])).map(
            lambda pair: f"({pair[0]}){pair[1]}"
        ),
        st.lists(inner, min_size=1, max_size=3).map("".join),
        st.lists(inner, min_size=1, max_size=3).map(lambda options: f"({'|'.join(options)})"),
    ),
    max_leaves=6,
)


@given(pattern=expressions, text=st.text("abc.", max_size=6))
@settings(max_examples=200)
def test_regular_expressions_are_what_python_makes_of_them(pattern: str, text: str) -> None:
    assert compile_regexp(pattern)(text) == bool(re.fullmatch(pattern, text, re.DOTALL))


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        ("^a$", "^a$", True),
        ('"a.b"', "a.b", True),
        ('"a.b"', "axb", False),
        ("a@c", "abbc", True),
        (r"\d+\.", "12.", True),
        (r"\b", "b", True),
        ("[[:alpha:]]", ":]", True),
        ("[^]x]", "]", False),
        ("a.c", "a\nc", True),
        ("é?", "é", True),
        ("a.", "a\ud800", True),
    ],
)
def test_the_syntax_is_lucenes(pattern: str, text: str, found: bool) -> None:
    assert compile_regexp(pattern)(text) == found


def test_a_pattern_that_makes_backtracking_engines_hang_is_answered_at_once() -> None:
    assert not compile_regexp("(a*)*b")("a" * 2000)
    assert not compile_wildcard("*a" * 200 + "b")("a" * 2000)


@pytest.mark.parametrize("pattern", ["(", "[a", "a{2,1}", "*)", "(?i)a", "a~b", "<1-5>", 'x"y', "\\", "(a{500}){500}"])
def test_malformed_and_unsupported_expressions_are_refused(pattern: str) -> None:
    with pytest.raises(Refused) as refused:
        compile_regexp(pattern)
    assert refused.value.status == 400
