"""The ASGI application: from a request to a checked one, from an answer or any exception to a response.

Everything that OpenSearch's HTTP layer does before a handler is here, once: 404, 405, ``OPTIONS``, ``HEAD``,
trailing slashes, content types, unknown parameters, bodies where none belongs, limits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import structlog
from starlette import routing
from starlette.requests import ClientDisconnect
from starlette.requests import Request as Received
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from api.http.answers import JSON_TYPE, TEXT_TYPE, Filter, render
from api.http.csrf import check_host, check_origin, client_of
from api.http.errors import Challenge, Plain, error_body
from api.http.limits import Quota
from api.http.requests import FLAGS, Answer, Request, check_parameters, is_json
from api.http.route import PREFIXES, SEARCH_PARAMETERS, TWIN_PREFIX, Route
from api.http.routes import ROUTES
from api.kafka.readiness import Readiness
from api.security.access import Access
from api.settings import ApiSettings
from schemas.errors import Refused
from schemas.token import illegal_argument

log = structlog.get_logger()

_PREFIX_ORDER = (*PREFIXES, TWIN_PREFIX, "")
_METHOD_ORDER = ("HEAD", "DELETE", "GET", "POST", "PUT")


@dataclass(frozen=True)
class _Bound:
    """A route under one of its prefixes."""

    route: Route
    prefix: str
    handler: Callable[[Request], Awaitable[Answer]]


class Application:
    """The API as an ASGI application: ``parts`` are what the handlers use, ``lifespan`` runs around all requests."""

    def __init__(
        self, parts: Iterable[object], lifespan: Callable[[Any], AbstractAsyncContextManager[None]] | None = None
    ) -> None:
        by_type: dict[type, Any] = {type(part): part for part in parts}
        self._settings: ApiSettings = by_type[ApiSettings]
        self._access: Access = by_type[Access]
        self._readiness: Readiness = by_type[Readiness]
        self._under_way = Quota(self._settings.max_concurrent_requests, "too many requests under way")
        most = max(self._settings.max_arriving_bytes, self._settings.max_body_bytes)
        self._arriving = Quota(most, "too much of this client's request bodies is incomplete")
        self._router = routing.Router(
            [routing.Route(path, _Endpoint(self, methods)) for path, methods in by_path(by_type)],
            redirect_slashes=False,
            default=_Endpoint(self, {}),
            lifespan=lifespan,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or the server's start and end."""
        if scope["type"] == "http":
            # The path as it came, since an id may hold an encoded slash; empty segments don't count, as in OpenSearch.
            scope["path"] = "/" + "/".join(filter(None, _path(scope).split("/")))
        await self._router(scope, receive, send)

    async def respond(self, received: Received, methods: Mapping[str, _Bound]) -> Response:
        """The response to a request for a path that has these methods."""
        settings = self._settings
        parameters = dict(received.query_params) if received.scope["query_string"] else {}
        filter: Filter | None = None
        try:
            if "filter_path" in parameters:
                filter = Filter(parameters["filter_path"])
            async with asyncio.timeout(settings.request_timeout):
                return await self._answer(received, methods, parameters, filter)
        except TimeoutError:
            reason = f"not answered within {settings.request_timeout:g} s"
            return _refusal(Refused(504, reason, "timeout_exception"), parameters, None)
        except Exception as error:
            if not isinstance(error, Refused):
                log.exception("a request failed", method=received.method, path=received.url.path)
            return _refusal(error, parameters, filter)

    async def _answer(
        self, received: Received, methods: Mapping[str, _Bound], parameters: dict[str, str], filter: Filter | None
    ) -> Response:
        found = methods.get(received.method)
        if found is None:
            return _without_handler(received, [name for name in _METHOD_ORDER if name in methods])
        request = await self._request(received, found, parameters)
        self._check(request, found.route)
        if found.route.urgent:
            answer = await found.handler(request)
            return _response(answer, render(answer.payload, parameters, filter), JSON_TYPE)
        # Only now: who has to wait for the rest of a body or for the check of a password takes nobody's place.
        with self._under_way.taken():
            answer = await found.handler(request)
            return _response(answer, *await _body_of(answer, parameters, filter))

    async def _request(self, received: Received, found: _Bound, parameters: dict[str, str]) -> Request:
        """The request with its user and its whole body."""
        headers = dict(received.headers.items())
        check_origin(headers)
        if self._settings.users is None:
            check_host(headers)
        certificate = received.scope.get("extensions", {}).get("tls", {}).get("client_cert_name")
        client = client_of(received.client.host) if received.client else ""
        identity = await self._access.identify(headers, found.route.permission, certificate, client)
        body = await self._body(received, client)
        path_parameters = {name: unquote(value) for name, value in received.path_params.items()}
        path = _path(received.scope)
        return Request(received.method, path, found.prefix, path_parameters, parameters, headers, body, identity)

    def _check(self, request: Request, route: Route) -> None:
        """Refuse what a route does not take, and what cannot be answered now."""
        if request.body:
            _check_content_type(request.headers.get("content-type", ""))
        # OpenSearch reads the body first: what is wrong with it goes before parameters that nobody read.
        if route.body == "required":
            request.json_object()
        elif route.body == "search":
            request.search_source()
        known = (*route.parameters, *(SEARCH_PARAMETERS if route.body == "search" and not request.body else ()))
        check_parameters(request.path, request.parameters, known)
        for name in FLAGS:
            request.flag(name)
        if request.body and route.body == "none":
            raise illegal_argument(f"request [{request.method} {request.path}] does not support having a body")
        if route.gated:
            self._readiness.require()

    async def _body(self, received: Received, client: str) -> bytes:
        """The whole body. One that is too large or too slow is refused as soon as that is known."""
        settings = self._settings
        length = received.headers.get("content-length", "")
        if length.isdigit() and int(length) > settings.max_body_bytes:
            raise _too_large(settings.max_body_bytes)
        parts: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(settings.body_timeout):
                async for part in received.stream():
                    if size + len(part) > settings.max_body_bytes:
                        raise _too_large(settings.max_body_bytes)
                    self._arriving.take(client, len(part))
                    size += len(part)
                    parts.append(part)
            return b"".join(parts)
        except ClientDisconnect:
            raise Refused(400, "the client went away", "illegal_argument_exception") from None
        except TimeoutError:
            reason = f"the request body did not arrive within {settings.body_timeout:g} s"
            raise Plain(408, reason, headers={"Connection": "close"}) from None
        finally:
            self._arriving.give_back(client, size)


@dataclass(frozen=True)
class _Endpoint:
    """One path with its methods; a class of its own, so that Starlette leaves the methods to us."""

    application: Application
    methods: Mapping[str, _Bound]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self.application.respond(Received(scope, receive), self.methods)
        await response(scope, receive, send)


def by_path(parts: Mapping[type, object]) -> list[tuple[str, dict[str, _Bound]]]:
    """The routes by their paths, in the order in which they are tried: literal segments go before parameters."""
    found: dict[str, dict[str, _Bound]] = {}
    for route in ROUTES:
        handler = route.bound(parts)
        for prefix, path in route.paths():
            found.setdefault(path, {}).update({method: _Bound(route, prefix, handler) for method in route.methods})

    def order(item: tuple[str, dict[str, _Bound]]) -> tuple[list[bool], int]:
        path, methods = item
        # One prefix after the other: a search under the first one is found after few other paths.
        prefix = next(iter(methods.values())).prefix
        return ["{" in segment for segment in path.split("/")] if "{" in path else [], _PREFIX_ORDER.index(prefix)

    return sorted(found.items(), key=order)


def _path(scope: Scope) -> str:
    return str(scope["raw_path"].decode("latin-1").split("?")[0])


def _without_handler(received: Received, allowed: list[str]) -> Response:
    """The answer to ``OPTIONS``, which tells the methods. Raises 400 for an unknown path, 405 for another method."""
    query = received.scope["query_string"].decode("latin-1")
    uri = _path(received.scope) + (f"?{query}" if query else "")
    if not allowed:
        raise Plain(400, f"no handler found for uri [{uri}] and method [{received.method}]", bare=True)
    headers = {"Allow": ",".join(allowed)}
    if received.method == "OPTIONS":
        return _response(Answer(None, 200, headers), b"", TEXT_TYPE)
    reason = f"Incorrect HTTP method for uri [{uri}] and method [{received.method}], allowed: [{', '.join(allowed)}]"
    raise Plain(405, reason, headers=headers)


def _too_large(limit: int) -> Refused:
    return Refused(413, f"the request body is larger than {limit} bytes", "content_too_long_exception")


def _check_content_type(value: str) -> None:
    if not is_json(value):
        reason = f"Content-Type header [{value}] is not supported" if value else "Content-Type header is missing"
        raise Plain(406, reason)


async def _body_of(answer: Answer, parameters: dict[str, str], filter: Filter | None) -> tuple[bytes, str]:
    """An answer's body and its content type."""
    if isinstance(answer.payload, bytes):
        return answer.payload, TEXT_TYPE
    if filter is None:
        return render(answer.payload, parameters), JSON_TYPE
    try:
        # In a thread: an answer of ten thousand hits would keep everybody waiting.
        return await asyncio.to_thread(render, answer.payload, parameters, filter), JSON_TYPE
    except asyncio.CancelledError:
        filter.cancel()
        raise


def _refusal(error: Exception, parameters: dict[str, str], filter: Filter | None) -> Response:
    status, payload = error_body(error)
    answer = Answer(payload, status, error.headers if isinstance(error, Plain | Challenge) else {})
    if isinstance(payload, str):
        return _response(answer, payload.encode(), TEXT_TYPE)
    return _response(answer, render(payload, parameters, filter), JSON_TYPE)


def _response(answer: Answer, body: bytes, kind: str) -> Response:
    return Response(body, answer.status, {"Content-Type": kind, **answer.headers})
