"""The API describes itself, without any outside host: the routes, the topics, and a page to try it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from importlib.resources import files
from typing import Any

from api.documents import asyncapi as topics
from api.documents import openapi as api
from api.http.requests import Answer, Request
from api.http.route import Route


class ApiDocuments:
    """The documents, each made when it is first asked for."""

    def __init__(self, routes: Sequence[Route], prefix: str) -> None:
        self._routes, self._prefix = routes, prefix

    @cached_property
    def openapi(self) -> dict[str, Any]:
        """The routes as an OpenAPI document."""
        return api.document(self._routes)

    @cached_property
    def asyncapi(self) -> dict[str, Any]:
        """The topics as an AsyncAPI document, under the prefix that this API works with."""
        return topics.document(self._prefix)

    @cached_property
    def page(self) -> bytes:
        """A page with a form for each route."""
        return files("api.documents").joinpath("explorer.html").read_bytes()


async def openapi(_request: Request, documents: ApiDocuments) -> Answer:
    """``GET /_openapi.json``."""
    return Answer(documents.openapi)


async def asyncapi(_request: Request, documents: ApiDocuments) -> Answer:
    """``GET /_asyncapi.json``."""
    return Answer(documents.asyncapi)


async def page(_request: Request, documents: ApiDocuments) -> Answer:
    """``GET /_docs``."""
    return Answer(documents.page, headers={"Content-Type": "text/html; charset=UTF-8"})
