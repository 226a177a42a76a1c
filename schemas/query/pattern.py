"""Wildcards and Lucene's regular expressions as RE2 expressions, which take time linear in the text.

Python's ``re`` backtracks: a pattern like ``(a*)*b`` from a client would stop the whole process. DuckDB matches with
RE2, too, so both back ends are given the same expression.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import re2

from schemas.query.errors import wrong_value

Test = Callable[[str], bool]

_WILDCARD = re.compile(r"\\(.)|(.)", re.DOTALL)
_LUCENE = re.compile(
    r"""\\(?P<escaped>.) | "(?P<quoted>[^"]*)" | (?P<set>\[\^?\]?(?:\\.|[^\]\\])*\]) | (?P<other>.)""",
    re.DOTALL | re.VERBOSE,
)
_REFUSED = {'"': "expected '\"'", "(?": "nothing to repeat: [?] behind [(]"} | {
    sign: f"the operator [{sign}] is not supported: escape it with \\ or leave it out" for sign in "~&<#"
}


def wildcard_to_re2(pattern: str) -> str:
    r"""``*`` is any text, ``?`` any one character, ``\`` takes the next as it is.

    >>> wildcard_to_re2(r"a?.*\*")
    'a.\\..*\\*'
    """
    return _WILDCARD.sub(
        lambda found: literal(found[1]) if found[1] else {"*": ".*", "?": "."}.get(found[2]) or literal(found[2]),
        pattern,
    )


def regexp_to_re2(pattern: str) -> str:
    r"""Lucene's ``. ? * + {n,m} | () [] "literal" \d \w \s @``. Raises ``Refused`` for ``~``, ``&``, ``#``, ``<n-m>``.

    >>> regexp_to_re2('a.b"*"@')
    'a.b\\*(?:.*)'
    """

    def translated(found: re.Match[str]) -> str:
        if found["escaped"]:
            return found[0] if found["escaped"] in "dDwWsS" else literal(found["escaped"])
        if found["quoted"] is not None:
            return literal(found["quoted"])
        if found["set"]:
            # The brackets of [[:alpha:]] are characters to Lucene.
            return "[" + re.sub(r"(\\.)|\[", lambda part: part[1] or r"\[", found["set"][1:])
        sign = pattern[found.start() : found.start() + 2] if pattern.startswith("(?", found.start()) else found[0]
        if sign in _REFUSED:
            raise wrong_value(f"{_REFUSED[sign]}, at position {found.start()} of regexp [{pattern}]")
        return {"@": "(?:.*)", "^": r"\^", "$": r"\$"}.get(found[0], found[0])

    return _LUCENE.sub(translated, pattern)


def literal(text: str) -> str:
    """An expression for the text itself.

    >>> literal("a.b")
    'a\\\\.b'
    """
    return re.sub(r"[^\w]", _escaped, text, flags=re.ASCII)


def _escaped(found: re.Match[str]) -> str:
    one = found[0]
    return one if not one.isascii() else f"\\{one}" if one > " " else f"\\x{ord(one):02x}"


def compile_expression(expression: str, folded: bool = False) -> Test:
    """A test for whole texts. Raises ``Refused`` for an expression that is malformed or needs too much memory.

    >>> compile_expression("a|b")("ab"), compile_expression("HOST", folded=True)("host")
    (False, True)
    """
    options = re2.Options()
    options.dot_nl, options.case_sensitive, options.log_errors = True, not folded, False
    try:
        re2.compile(expression, options)  # which says what is wrong
        expressions = re2.Set.FullMatchSet(options)  # which is quicker than a compiled expression
        expressions.Add(expression)
        expressions.Compile()
    except re2.error as error:
        raise wrong_value(f"{error.args[0].decode(errors='replace')} in expression [{expression}]") from None
    match = expressions.Match

    def test(text: str) -> bool:
        try:
            return bool(match(text))
        except UnicodeEncodeError:
            return bool(match(text.encode(errors="replace").decode()))  # half of a surrogate pair

    return test


def compile_wildcard(pattern: str) -> Test:
    """A test for whole texts.

    >>> compile_wildcard("sr*")("srv"), compile_wildcard("sr?")("sr")
    (True, False)
    """
    return compile_expression(wildcard_to_re2(pattern))


def compile_regexp(pattern: str) -> Test:
    """A test for whole texts.

    >>> compile_regexp("host-[0-9]{1,2}")("host-12")
    True
    """
    return compile_expression(regexp_to_re2(pattern))
