"""Text as words: what the match clauses compare, like OpenSearch's standard analyzer."""

from __future__ import annotations

import re

# A word is a run of letters, digits and underscores; a dot or apostrophe joins letters, a dot or comma digits.
_WORD = re.compile(r"(?:[^\W\d](?:[.'’][^\W\d])*|\d(?:[.,]\d)*)+")


def words(text: str) -> list[str]:
    """The words of a text, in order, in lower case.

    >>> words("Host-3 didn't answer: 1.5 s")
    ['host', '3', "didn't", 'answer', '1.5', 's']
    """
    return _WORD.findall(text.lower())


def has_phrase(text: list[str], phrase: list[str], prefix: bool = False) -> bool:
    """Whether the words of ``phrase`` stand next to each other in ``text``; with ``prefix`` the last is a beginning.

    >>> has_phrase(["no", "data", "in", "window"], ["data", "in"]), has_phrase(["no", "data"], ["no", "da"], True)
    (True, True)
    """
    size = len(phrase)
    if size == 0:
        return False
    for start in range(len(text) - size + 1):
        found = text[start : start + size]
        if found == phrase:
            return True
        if prefix and found[:-1] == phrase[:-1] and found[-1].startswith(phrase[-1]):
            return True
    return False
