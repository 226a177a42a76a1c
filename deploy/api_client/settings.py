"""Where the API is and which credentials to send: from flags, else from the environment."""

from __future__ import annotations

import functools
import os
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

import click

from deploy.command_line.environment import overlay

_F = TypeVar("_F", bound=Callable[..., Any])

VARIABLE = "RIVERWATCH_CLIENT_"


def _setting(default: str | None, doc: str) -> Any:
    return field(default=default, metadata={"doc": doc})


@dataclass(frozen=True, kw_only=True)
class ClientSettings:
    """Each field is a flag of ``riverwatch detectors`` and the variable ``RIVERWATCH_CLIENT_`` plus its name."""

    url: str = _setting("http://127.0.0.1:9200", "Where the API listens")
    user: str | None = _setting(None, "NAME:PASSWORD; without a password, a prompt asks for it")
    api_key: str | None = _setting(None, "NAME:SECRET of an API key")
    token: str | None = _setting(None, "A bearer token")
    ca: str | None = _setting(None, "PEM file of the authorities to trust, instead of the system's")
    certificate: str | None = _setting(None, "PEM file of the client certificate, with its key or beside --key")
    key: str | None = _setting(None, "PEM file of the client certificate's key")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> ClientSettings:
        """Read the variables. Raises ``click.UsageError`` for values that cannot be used, or not together.

        >>> ClientSettings.from_environment({"RIVERWATCH_CLIENT_URL": "https://rw:9200/"}).url
        'https://rw:9200'
        """
        given = {each.name: environment.get(VARIABLE + each.name.upper()) or None for each in fields(cls)}
        shown = [name for name in ("user", "api_key", "token") if given[name] is not None]
        if len(shown) > 1:
            flags = " and ".join(f"--{name.replace('_', '-')}" for name in shown)
            raise click.UsageError(f"{flags} (or their variables) exclude each other")
        url = (given.pop("url") or cls.url).rstrip("/")
        if not url.startswith(("http://", "https://")):
            raise click.UsageError(f"--url {url}: a URL such as http://127.0.0.1:9200 is expected")
        for name in ("ca", "certificate", "key"):
            path = given[name]
            if path is not None and not Path(path).is_file():
                raise click.UsageError(f"--{name} {path}: there is no such file")
        return cls(url=url, **given)

    def headers(self) -> dict[str, str]:
        """The headers of an API key or a token."""
        if self.api_key is not None:
            return {"X-API-Key": self.api_key}
        return {} if self.token is None else {"Authorization": f"Bearer {self.token}"}

    def basic(self) -> tuple[str, str] | None:
        """Name and password; prompts for a missing password. None without a user."""
        if self.user is None:
            return None
        name, colon, password = self.user.partition(":")
        return name, password if colon else click.prompt(f"Password of {name}", hide_input=True, err=True)

    def tls(self) -> ssl.SSLContext | bool:
        """How to verify the API's certificate, with the client certificate. Raises ``click.UsageError``."""
        if self.ca is None and self.certificate is None:
            return True
        try:
            context = ssl.create_default_context(cafile=self.ca)
            if self.certificate is not None:
                context.load_cert_chain(self.certificate, self.key)
        except ssl.SSLError as error:
            raise click.UsageError(f"--ca, --certificate or --key cannot be used: {error}") from error
        return context


def api_options(command: _F) -> _F:
    """Add a flag for each setting; the command gets them as ``client``."""

    @functools.wraps(command)
    def collected(**arguments: Any) -> Any:
        flags = {"client_" + each.name: arguments.pop("client_" + each.name) for each in fields(ClientSettings)}
        client = ClientSettings.from_environment(overlay(os.environ, **flags))
        return command(client=client, **arguments)

    wrapped: Any = collected
    for each in reversed(fields(ClientSettings)):
        default = f"; default: {each.default}" if each.default else ""
        wrapped = click.option(
            "--" + each.name.replace("_", "-"),
            f"client_{each.name}",
            help=f"{each.metadata['doc']}. [{VARIABLE}{each.name.upper()}{default}]",
        )(wrapped)
    return wrapped
