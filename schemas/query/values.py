"""Values of a document: every value that a dotted path leads to, and how a value compares with what a query says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from schemas.query.read import Scalar, text_of

KEYWORD = ".keyword"
"""The sub-field that OpenSearch gives texts by default: the same values, whole."""


def values_at(document: Any, path: str) -> Iterator[Any]:
    """All values at a path: through objects, arrays and members with dots in their names; nulls left out.

    >>> list(values_at({"a": [{"b": 1}, {"b": [2, None]}], "a.b": 3}, "a.b"))
    [3, 1, 2]
    """
    if isinstance(document, list):
        for item in document:
            yield from values_at(item, path)
    elif isinstance(document, Mapping):
        if path in document:
            yield from _flat(document[path])
        start = path.find(".")
        while start != -1:
            head = document.get(path[:start])
            if head is not None:
                yield from values_at(head, path[start + 1 :])
            start = path.find(".", start + 1)


def field_values(document: Any, path: str) -> list[Any]:
    """The values of a field, which may be named with ``.keyword`` behind it."""
    found = list(values_at(document, path))
    if not found and path.endswith(KEYWORD):
        return list(values_at(document, path.removesuffix(KEYWORD)))
    return found


def all_fields(document: Any, above: str = "") -> Iterator[str]:
    """The paths of all leaves of a document that are not null."""
    if isinstance(document, Mapping):
        for name, value in document.items():
            yield from all_fields(value, f"{above}{name}.")
    elif isinstance(document, list):
        for item in document:
            yield from all_fields(item, above)
    elif above and document is not None:
        yield above[:-1]


def number_of(value: Any) -> float | None:
    """A number or a text that is one, None for anything else.

    >>> number_of("1.5"), number_of(True), number_of("a")
    (1.5, None, None)
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None


def same(value: Any, wanted: Scalar, *, case_insensitive: bool = False) -> bool:
    """Whether a document's value is what a term asks for, brought to the type of the document's value.

    >>> same(5, "5"), same(True, "true"), same("5", 5), same("a", "A")
    (True, True, True, False)
    """
    if isinstance(value, bool):
        return text_of(wanted).lower() == text_of(value)
    if isinstance(value, int | float):
        return (
            value == wanted if isinstance(wanted, int) and not isinstance(wanted, bool) else value == number_of(wanted)
        )
    if not isinstance(value, str):
        return False
    text = text_of(wanted)
    return value.lower() == text.lower() if case_insensitive else value == text


def _flat(value: Any) -> Iterator[Any]:
    if isinstance(value, list):
        for item in value:
            yield from _flat(item)
    elif value is not None:
        yield value
