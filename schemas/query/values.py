"""Values of a document: every value that a dotted path leads to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

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


def leaves(document: Any) -> Iterator[tuple[str, Any]]:
    """The values in a document that are no objects, arrays or nulls, each with its path.

    >>> list(leaves({"a": [{"b": 1}, {"b": 2}], "c": None}))
    [('a.b', 1), ('a.b', 2)]
    """
    open_ = [(document, "")]
    while open_:
        value, prefix = open_.pop()
        if isinstance(value, Mapping):
            open_ += [(member, f"{prefix}{name}.") for name, member in reversed(list(value.items()))]
        elif isinstance(value, list):
            open_ += [(item, prefix) for item in reversed(value)]
        elif value is not None:
            yield prefix[:-1], value


def one_or_list(values: list[Any]) -> Any:
    """What a field with these values holds: None for none, a single one itself.

    >>> one_or_list([]), one_or_list([1]), one_or_list([1, 2])
    (None, 1, [1, 2])
    """
    return None if not values else values[0] if len(values) == 1 else values
