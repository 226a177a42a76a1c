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
    # No recursion here: a document may be nested deeper than Python's stack.
    open_: list[tuple[Any, str | None]] = [(document, path)]
    while open_:
        value, rest = open_.pop()
        if isinstance(value, list):
            open_ += [(item, rest) for item in reversed(value)]
        elif rest is None:
            if value is not None:
                yield value
        elif isinstance(value, Mapping):
            below: list[tuple[Any, str | None]] = [(value[rest], None)] if rest in value else []
            start = rest.find(".")
            while start != -1:
                if (head := value.get(rest[:start])) is not None:
                    below.append((head, rest[start + 1 :]))
                start = rest.find(".", start + 1)
            open_ += reversed(below)


def field_values(document: Any, path: str) -> list[Any]:
    """The values of a field; one that is named with ``.keyword`` behind it has the field's own where it has none.

    >>> field_values({"a": "x"}, "a.keyword"), field_values({"a": {"b": 1}}, "a.keyword")
    (['x'], [])
    """
    found = list(values_at(document, path))
    if not found and path.endswith(KEYWORD):
        return [value for value in values_at(document, path.removesuffix(KEYWORD)) if not isinstance(value, Mapping)]
    return found


def all_fields(document: Any, above: str = "") -> Iterator[str]:
    """The paths of all leaves of a document that are not null."""
    open_ = [(document, above)]
    while open_:
        value, prefix = open_.pop()
        if isinstance(value, Mapping):
            open_ += [(member, f"{prefix}{name}.") for name, member in reversed(list(value.items()))]
        elif isinstance(value, list):
            open_ += [(item, prefix) for item in reversed(value)]
        elif prefix and value is not None:
            yield prefix[:-1]


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
