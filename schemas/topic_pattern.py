"""Patterns of topic names: ``*`` stands for any text."""

from __future__ import annotations


def matches_topic(pattern: str, topic: str) -> bool:
    """Whether a topic's name fits, in time linear in the name: a regular expression of some stars would backtrack.

    >>> matches_topic("orders.*", "orders.eu"), matches_topic("orders", "orders.eu"), matches_topic("*a*a", "a")
    (True, False, False)
    """
    first, *others = pattern.split("*")
    if not others:
        return pattern == topic
    *middle, last = others
    start, end = len(first), len(topic) - len(last)
    if start > end or not topic.startswith(first) or not topic.endswith(last):
        return False
    for piece in middle:
        found = topic.find(piece, start, end)
        if found < 0:
            return False
        start = found + len(piece)
    return True
