"""The API describes itself, without any outside host: the routes, the topics, and a page to try it."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from api.documents.asyncapi import document as asyncapi_document
from api.http.requests import Answer, Request
from api.services import Services


async def openapi(_request: Request, _services: Services) -> Answer:
    """``GET /_openapi.json``."""
    return Answer(_document())


async def asyncapi(_request: Request, services: Services) -> Answer:
    """``GET /_asyncapi.json``: the topics, under the prefix that this API works with."""
    return Answer(_topics(services.settings.prefix))


async def page(_request: Request, _services: Services) -> Answer:
    """``GET /_docs``: the document as a page with a form for each route."""
    return Answer(_page(), headers={"Content-Type": "text/html; charset=UTF-8"})


@cache
def _document() -> dict[str, object]:
    # Here, since the table of routes names this module's handlers.
    from api.documents.openapi import document

    return document()


@cache
def _topics(prefix: str) -> dict[str, object]:
    return asyncapi_document(prefix)


@cache
def _page() -> bytes:
    return files("api.documents").joinpath("explorer.html").read_bytes()
