"""The ASGI application: from bytes to a checked request, from an answer or any exception to bytes.

Everything that OpenSearch's HTTP layer does before a handler stands here once: 404, 405, ``OPTIONS``, ``HEAD``,
trailing slashes, content types, unknown parameters, bodies where none belongs, limits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

import structlog

from api.http.answers import JSON_TYPE, TEXT_TYPE, Filter, render
from api.http.csrf import check_host, check_origin, client_of
from api.http.errors import Challenge, Plain, error_body
from api.http.limits import Places
from api.http.requests import FLAGS, Answer, Request, check_parameters
from api.http.routes import ROUTES, SEARCH_PARAMETERS, Route
from api.http.routing import Match, Router
from api.services import Services
from schemas.errors import Refused
from schemas.token import illegal_argument

log = structlog.get_logger()

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Rendered = tuple[Answer, bytes, str]
"""An answer, its body and its content type."""


@dataclass(frozen=True)
class _Entry:
    route: Route
    prefix: str


def build_router() -> Router[_Entry]:
    """All routes under all their prefixes."""
    router: Router[_Entry] = Router()
    for route in ROUTES:
        for prefix, path in route.paths():
            for method in route.methods:
                router.add(method, path, _Entry(route, prefix))
    return router


class Application:
    """The API as an ASGI application."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._router = build_router()
        settings = services.settings
        self._under_way = Places(settings.max_concurrent_requests, "too many requests under way")
        most = max(settings.max_arriving_bytes, settings.max_body_bytes)
        self._arriving = Places(most, "too much of this client's request bodies is incomplete")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or the server's start and end."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await self._services.start()
                await send({"type": "lifespan.startup.complete"})
            else:
                await self._services.stop()
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        settings = self._services.settings
        parameters: dict[str, str] = {}
        filter: Filter | None = None
        try:
            query = scope["query_string"].decode("latin-1")
            parameters.update(parse_qsl(query, keep_blank_values=True, encoding="utf-8", errors="replace"))
            if "filter_path" in parameters:
                filter = Filter(parameters["filter_path"])
            async with asyncio.timeout(settings.request_timeout):
                answer, body, kind = await self._answer(scope, parameters, filter, receive)
        except asyncio.CancelledError:
            raise
        except TimeoutError:
            reason = f"not answered within {settings.request_timeout:g} s"
            answer, body, kind = _refusal(Refused(504, reason, "timeout_exception"), parameters, None)
        except Exception as error:
            if not isinstance(error, Refused):
                log.exception("a request failed", method=scope["method"], path=scope["path"])
            answer, body, kind = _refusal(error, parameters, filter)
        await _send(send, answer, body, kind, scope["method"])

    async def _answer(
        self, scope: Scope, parameters: dict[str, str], filter: Filter | None, receive: Receive
    ) -> Rendered:
        method: str = scope["method"]
        path: str = scope["raw_path"].decode("latin-1").split("?")[0]
        found = self._match(scope, method, path)
        if found.handler is None:
            return Answer(None, 200, {"Allow": ",".join(found.allowed)}), b"", TEXT_TYPE
        route = found.handler.route
        request = await self._request(scope, found.handler, found.parameters, parameters, receive)
        self._check(request, route)
        if route.urgent:
            answer = await route.handler(request, self._services)
            return answer, render(answer.payload, parameters, filter), JSON_TYPE
        # Only now: who has to wait for the rest of a body or for the check of a password takes nobody's place.
        with self._under_way.taken():
            answer = await route.handler(request, self._services)
            return answer, *await _body_of(answer, parameters, filter)

    def _match(self, scope: Scope, method: str, path: str) -> Match[_Entry]:
        """Where a request belongs; without a handler for ``OPTIONS``, which tells the methods. Raises 400 and 405."""
        uri = path if not scope["query_string"] else f"{path}?{scope['query_string'].decode('latin-1')}"
        found = self._router.match(method, path)
        if found is None:
            raise Plain(400, f"no handler found for uri [{uri}] and method [{method}]", bare=True)
        if found.handler is None and method != "OPTIONS":
            allowed = ", ".join(found.allowed)
            reason = f"Incorrect HTTP method for uri [{uri}] and method [{method}], allowed: [{allowed}]"
            raise Plain(405, reason, headers={"Allow": ",".join(found.allowed)})
        return found

    async def _request(
        self,
        scope: Scope,
        entry: _Entry,
        path_parameters: dict[str, str],
        parameters: dict[str, str],
        receive: Receive,
    ) -> Request:
        """The request with who asks and its whole body."""
        path: str = scope["raw_path"].decode("latin-1").split("?")[0]
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        check_origin(headers)
        if self._services.settings.users is None:
            check_host(headers)
        certificate = scope.get("extensions", {}).get("tls", {}).get("client_cert_name")
        client = client_of(scope["client"][0]) if scope.get("client") else ""
        identity = await self._services.identify(headers, entry.route.permission, certificate, client)
        body = await self._body(receive, headers, client)
        return Request(scope["method"], path, entry.prefix, path_parameters, parameters, headers, body, identity)

    def _check(self, request: Request, route: Route) -> None:
        """Refuse what a route does not take, and what cannot be answered now."""
        if request.body:
            _check_content_type(request.headers.get("content-type", ""))
        known = (*route.parameters, *(SEARCH_PARAMETERS if route.body == "search" else ()))
        check_parameters(request.path, request.parameters, known)
        for name in FLAGS:
            request.flag(name)
        if request.body and route.body == "none":
            raise illegal_argument(f"request [{request.method} {request.path}] does not support having a body")
        if route.gated:
            self._services.require()

    async def _body(self, receive: Receive, headers: dict[str, str], client: str) -> bytes:
        """The whole body. One that is too large or too slow is refused as soon as that is known."""
        settings = self._services.settings
        length = headers.get("content-length", "")
        if length.isdigit() and int(length) > settings.max_body_bytes:
            raise _too_large(settings.max_body_bytes)
        parts: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(settings.body_timeout):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise Refused(400, "the client went away", "illegal_argument_exception")
                    part = message.get("body", b"")
                    if size + len(part) > settings.max_body_bytes:
                        raise _too_large(settings.max_body_bytes)
                    self._arriving.take(client, len(part))
                    size += len(part)
                    parts.append(part)
                    if not message.get("more_body", False):
                        return b"".join(parts)
        except TimeoutError:
            reason = f"the request body did not arrive within {settings.body_timeout:g} s"
            raise Plain(408, reason, headers={"Connection": "close"}) from None
        finally:
            self._arriving.give_back(client, size)


def _too_large(limit: int) -> Refused:
    return Refused(413, f"the request body is larger than {limit} bytes", "content_too_long_exception")


_JSON_TYPES = ("application/json", "application/x-ndjson", "application/vnd.opensearch+json")


def _check_content_type(value: str) -> None:
    kind = value.split(";")[0].strip().lower()
    if kind not in _JSON_TYPES:
        reason = f"Content-Type header [{value}] is not supported" if value else "Content-Type header is missing"
        raise Plain(406, reason)


async def _body_of(answer: Answer, parameters: dict[str, str], filter: Filter | None) -> tuple[bytes, str]:
    """An answer's body and its content type."""
    if answer.payload is None:
        return b"", TEXT_TYPE
    if isinstance(answer.payload, str):
        return answer.payload.encode(), TEXT_TYPE
    if isinstance(answer.payload, bytes):
        return answer.payload, answer.headers.get("Content-Type", TEXT_TYPE)
    if filter is None:
        return render(answer.payload, parameters), JSON_TYPE
    try:
        # In a thread: an answer of ten thousand hits would keep everybody waiting.
        return await asyncio.to_thread(render, answer.payload, parameters, filter), JSON_TYPE
    except asyncio.CancelledError:
        filter.give_up()
        raise


def _refusal(error: Exception, parameters: dict[str, str], filter: Filter | None) -> tuple[Answer, bytes, str]:
    status, payload = error_body(error)
    answer = Answer(payload, status, error.headers if isinstance(error, Plain | Challenge) else {})
    if isinstance(payload, str):
        return answer, payload.encode(), TEXT_TYPE
    return answer, render(payload, parameters, filter), JSON_TYPE


async def _send(send: Send, answer: Answer, body: bytes, kind: str, method: str) -> None:
    headers = {"content-type": kind, "content-length": str(len(body))}
    headers.update({name.lower(): value for name, value in answer.headers.items()})
    await send(
        {
            "type": "http.response.start",
            "status": answer.status,
            "headers": [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()],
        }
    )
    await send({"type": "http.response.body", "body": b"" if method == "HEAD" else body})
