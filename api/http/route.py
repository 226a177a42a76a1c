"""What a route is: its methods, path, parameters, body, permission and handler."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal

from api.http.requests import Answer, Request

Handler = Callable[..., Awaitable[Answer]]
"""Takes the request, and by name each part of the process that it uses."""

Body = Literal["none", "optional", "required", "search"]
"""``search``: a body or the ``source`` parameter. ``required`` and ``search`` are refused by the handler."""

PREFIXES = ("/_plugins/_anomaly_detection", "/_anomaly_detection/api")
TWIN_PREFIX = "/_opendistro/_anomaly_detection"
"""OpenSearch's old prefix: the original routes have a twin there, later ones have none."""

SEARCH_PARAMETERS = ("source", "source_content_type")


@dataclass(frozen=True)
class Route:
    """One route. ``tail`` follows a prefix, or is the whole path when ``prefixed`` is False.

    ``permission`` is the tail of OpenSearch's action name, "" for what everybody may ask. ``gated`` routes are answered
    with 503 while the views are incomplete. The small answers of ``urgent`` ones are given whatever else is under way.
    """

    methods: tuple[str, ...]
    tail: str
    handler: Handler
    summary: str
    permission: str
    parameters: tuple[str, ...] = ()
    body: Body = "none"
    original: bool = True
    prefixed: bool = True
    gated: bool = True
    urgent: bool = False

    def paths(self) -> Iterator[tuple[str, str]]:
        """The paths of the route, each with its prefix."""
        if not self.prefixed:
            yield "", self.tail
            return
        for prefix in (*PREFIXES, *((TWIN_PREFIX,) if self.original else ())):
            yield prefix, prefix + self.tail

    def bound(self, parts: Mapping[type, object]) -> Callable[[Request], Awaitable[Answer]]:
        """The handler with the parts that it uses: of ``parts``, each parameter gets the one of its type.

        Raises ``KeyError`` for a part that there is not.
        """
        _, *used = inspect.signature(self.handler, eval_str=True).parameters.values()
        return partial(self.handler, **{each.name: parts[each.annotation] for each in used})
