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
"""Python's 5 ms let the thread that takes in results hold up every step of every request, each for that long."""


class _Server(uvicorn.Server):
    """Says where it listens once it does, and leaves the views alone once they are built."""

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
        # Python's collector would look through all documents again and again: 170 ms each time for 100,000 tasks, in
        # which nobody is answered. They have no cycles, so that it finds nothing in them.
        gc.collect()
        gc.freeze()


class _Protocol(HttpToolsProtocol):
    """Tells the application who showed a client certificate, by ASGI's TLS extension: uvicorn does not."""

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
    """Serve until SIGTERM or SIGINT; prints one line when the API listens. 0 after a clean stop, 1 otherwise.

    Raises ``SettingInvalid`` when it would listen elsewhere than on this machine without authentication, or for TLS
    files that cannot be used, ``UsersInvalid`` for such a file of users, ``StoreUnusable`` for such a results store.
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
        raise SettingInvalid(f"{files} is no file that can be used: {error}") from error
    try:
        process.results.open()
    except StoreUnusable:
        listener.close()
        raise
    server = _Server(config, f"{'https' if tls else 'http'}://{host}:{port}", process)
    with contextlib.closing(listener), contextlib.suppress(KeyboardInterrupt):
        server.run(sockets=[listener])
    # What was left out of collections would be left at the exit, too, and DuckDB's binding then prints pages of leaks.
    gc.unfreeze()
    return 0 if server.started else 1


def configure_log(level: str) -> None:
    """One line an event on standard error, as ``timestamp=… level=… event=… name=value``."""
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
    """Refuse to listen where others can reach an API that asks nobody who they are."""
    if settings.users is None and not _is_loopback(settings.host):
        raise SettingInvalid(
            f"RIVERWATCH_API_HOST={settings.host!r} can be reached by others, and nobody is asked who they are:"
            " set RIVERWATCH_USERS to a file of users, or listen on 127.0.0.1"
        )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
