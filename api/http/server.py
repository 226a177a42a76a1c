"""Runs the API: uvicorn around the application, until SIGTERM or SIGINT."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import ipaddress
import logging
import socket
import sys

import structlog
import uvicorn
from cryptography import x509
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from api.process import ApiProcess
from api.results.store_file import StoreUnusable
from api.settings import ApiSettings, SettingInvalid

SWITCH_SECONDS = 0.0005
"""With Python's default of 5 ms the thread that writes results delays every step of every request by that long."""


class _Server(uvicorn.Server):
    """Prints the address once it listens, and excludes the views from garbage collection once they are complete."""

    def __init__(self, config: uvicorn.Config, address: str, process: ApiProcess) -> None:
        super().__init__(config)
        self._address, self._process = address, process

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        if self.started:
            sys.stdout.write(f"api ready on {self._address}\n")
            sys.stdout.flush()
            self._freezing = asyncio.create_task(self._freeze())

    async def _freeze(self) -> None:
        while self._process.readiness.why_not() is not None:  # noqa: ASYNC110 -- threads build them
            await asyncio.sleep(0.5)
        # A full collection looks at every document: 170 ms for 100,000 tasks, in which no request is answered.
        # They have no cycles, so there is nothing to find in them.
        gc.collect()
        gc.freeze()


class _Protocol(HttpToolsProtocol):
    """Passes the subject of the client certificate on by ASGI's TLS extension, which uvicorn does not."""

    _subject: str | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        tls = transport.get_extra_info("ssl_object")
        certificate = None if tls is None else tls.getpeercert(True)
        if certificate:
            self._subject = x509.load_der_x509_certificate(certificate).subject.rfc4514_string()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self._subject is not None:
            self.scope["extensions"] = {"tls": {"client_cert_name": self._subject}}


def run(settings: ApiSettings) -> int:
    """Serve until SIGTERM or SIGINT; prints one line once the API listens. Returns 0 after a clean stop, otherwise 1.

    Raises ``SettingInvalid`` for a public address without authentication and for unusable TLS files, ``UsersInvalid``
    for an unusable file of users, ``StoreUnusable`` for an unusable results store.
    """
    check_exposure(settings)
    configure_log(settings.log_level)
    sys.setswitchinterval(SWITCH_SECONDS)
    try:
        listener = socket.create_server(
            (settings.host, settings.port),
            family=socket.AF_INET6 if ":" in settings.host else socket.AF_INET,
            backlog=1024,
        )
    except OSError as error:
        sys.stderr.write(f"the API cannot listen on {settings.host}:{settings.port}: {error.strerror}\n")
        return 1
    port = listener.getsockname()[1]
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    tls = settings.tls_certificate is not None
    process = ApiProcess(settings)
    config = uvicorn.Config(
        process.application,
        loop="uvloop",
        http=_Protocol,
        ws="none",
        lifespan="on",
        log_level=settings.log_level,
        access_log=False,
        server_header=False,
        date_header=False,
        timeout_graceful_shutdown=5,
        ssl_certfile=settings.tls_certificate,
        ssl_keyfile=settings.tls_key,
        ssl_ca_certs=None if settings.tls_client_ca is None else str(settings.tls_client_ca),
        ssl_cert_reqs=2 if settings.tls_client_ca is not None else 0,
    )
    try:
        config.load()
    except OSError as error:  # ssl.SSLError is one
        listener.close()
        files = "RIVERWATCH_TLS_CERTIFICATE, RIVERWATCH_TLS_KEY or RIVERWATCH_TLS_CLIENT_CA"
        raise SettingInvalid(f"{files} cannot be used: {error}") from error
    try:
        process.results.open()
    except StoreUnusable:
        listener.close()
        raise
    server = _Server(config, f"{'https' if tls else 'http'}://{host}:{port}", process)
    with contextlib.closing(listener), contextlib.suppress(KeyboardInterrupt):
        server.run(sockets=[listener])
    # Frozen objects are not collected at exit either, and DuckDB's binding then prints pages of leaks.
    gc.unfreeze()
    return 0 if server.started else 1


def configure_log(level: str) -> None:
    """Log to standard error, one line per event: ``timestamp=… level=… event=… name=value``."""
    levels = logging.getLevelNamesMapping()
    if level.upper() not in levels:
        raise SettingInvalid(f"RIVERWATCH_LOG_LEVEL={level!r}: expected debug, info, warning or error")
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.format_exc_info,
            structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"]),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(levels[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def check_exposure(settings: ApiSettings) -> None:
    """Refuse to listen on a public address without authentication."""
    if settings.users is None and not _is_loopback(settings.host):
        raise SettingInvalid(
            f"RIVERWATCH_API_HOST={settings.host!r} can be reached from other machines, and there is no"
            " authentication: set RIVERWATCH_USERS to a file of users, or listen on 127.0.0.1"
        )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
