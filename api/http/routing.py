"""Which handler a path belongs to: a trie of path segments, as in OpenSearch's REST layer.

A literal segment wins over a parameter; a parameter is tried when the literal leads nowhere. Empty segments do
not count, so a trailing slash is accepted.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic, TypeVar
from urllib.parse import unquote

Handler = TypeVar("Handler")

_METHOD_ORDER = ("HEAD", "DELETE", "GET", "POST", "PUT")


@dataclass
class _Node(Generic[Handler]):
    children: dict[str, _Node[Handler]] = field(default_factory=dict)
    parameter: _Node[Handler] | None = None
    methods: dict[str, tuple[Handler, tuple[str, ...]]] = field(default_factory=dict)


@dataclass(frozen=True)
class Match(Generic[Handler]):
    """``handler`` is None when the path exists but not with this method; ``allowed`` are its methods."""

    handler: Handler | None
    parameters: dict[str, str]
    allowed: tuple[str, ...]


class Router(Generic[Handler]):
    """Paths with ``{parameters}`` to handlers.

    >>> router = Router()
    >>> router.add("GET", "/detectors/{id}", "get")
    >>> router.add("POST", "/detectors/_search", "search")
    >>> router.match("GET", "/detectors/a%2Fb/").parameters
    {'id': 'a/b'}
    >>> router.match("GET", "/detectors/_search").allowed
    ('POST',)
    """

    def __init__(self) -> None:
        self._root: _Node[Handler] = _Node()

    def add(self, method: str, template: str, handler: Handler) -> None:
        """Register a handler. The same method and path twice is a mistake of the caller and raises."""
        node, names = self._root, []
        for segment in _segments(template):
            if segment.startswith("{"):
                names.append(segment[1:-1])
                node.parameter = node.parameter or _Node()
                node = node.parameter
            else:
                node = node.children.setdefault(segment, _Node())
        if method in node.methods:
            raise ValueError(f"{method} {template} is registered twice")
        node.methods[method] = (handler, tuple(names))

    def match(self, method: str, path: str) -> Match[Handler] | None:
        """The handler of a request, or None when no path fits at all."""
        found = _find(self._root, [unquote(segment) for segment in _segments(path)], ())
        if found is None:
            return None
        node, values = found
        allowed = tuple(name for name in _METHOD_ORDER if name in node.methods)
        entry = node.methods.get(method)
        if entry is None:
            return Match(None, {}, allowed)
        handler, names = entry
        return Match(handler, dict(zip(names, values, strict=True)), allowed)


def _segments(path: str) -> list[str]:
    return [segment for segment in path.split("/") if segment]


def _find(
    node: _Node[Handler], segments: list[str], values: tuple[str, ...]
) -> tuple[_Node[Handler], tuple[str, ...]] | None:
    if not segments:
        return (node, values) if node.methods else None
    head, rest = segments[0], segments[1:]
    child = node.children.get(head)
    found = _find(child, rest, values) if child is not None else None
    if found is None and node.parameter is not None:
        found = _find(node.parameter, rest, (*values, head))
    return found
