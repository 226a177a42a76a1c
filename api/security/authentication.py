"""Authentication: HTTP basic, API keys, bearer tokens, client certificates."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from typing import Any

from api.http.errors import Challenge, unavailable
from api.security.passwords import Passwords
from api.security.permissions import Identity, permissions_of, topics_of
from api.security.tokens import KeysUnavailable, Tokens
from api.security.users import Users
from schemas.command import User


class Authenticator:
    """Checks credentials against the file of users.

    ``passwords_waiting`` is how many different passwords of one client may be queued.
    """

    def __init__(self, users: Users, passwords_waiting: int = 8) -> None:
        self._users = users
        self._permissions = users.permissions()
        self._topics = users.topics()
        self._by_certificate = users.by_certificate()
        hashes = {name: each.password for name, each in users.users.items() if each.password is not None}
        self._passwords = Passwords(hashes, passwords_waiting)
        self._tokens = None if users.bearer is None else Tokens(users.bearer)

    async def identify(self, headers: Mapping[str, str], certificate: str | None = None, client: str = "") -> Identity:
        """The user of a request. Raises ``Challenge`` (401) for missing or wrong credentials.

        Raises 503 when a token's issuer does not respond, and 429 when too many passwords of ``client`` (the request's
        address) are queued. Only passwords and tokens wait.

        ``certificate`` is the subject of a verified client certificate; headers take precedence.
        """
        scheme, _, credentials = headers.get("authorization", "").partition(" ")
        credentials = credentials.strip()
        if scheme.lower() == "basic":
            return await self._basic(credentials, client)
        if scheme.lower() == "apikey":
            return self._key(credentials)
        if headers.get("x-api-key"):
            return self._key(headers["x-api-key"])
        if scheme.lower() == "bearer" and self._tokens is not None:
            return await self._bearer(credentials, self._tokens)
        if certificate is not None and scheme == "":
            return self._certificate(certificate)
        raise Challenge("authentication is required")

    async def _basic(self, credentials: str, client: str) -> Identity:
        name, colon, password = _decoded(credentials).partition(":")
        if not colon:  # text without a colon may be the password
            raise Challenge("the credentials cannot be read")
        if not await self._passwords.right(name, password, client):
            raise Challenge("wrong user or password", user=name)
        entry = self._users.users[name]
        return self._identity(name, entry.roles, entry.backend_roles)

    def _key(self, credentials: str) -> Identity:
        """``name:secret``, or the same in base64 as OpenSearch and Elasticsearch clients send it."""
        if ":" not in credentials:
            credentials = _decoded(credentials)
        name, colon, secret = credentials.partition(":")
        if not colon:  # text without a colon may be the secret
            raise Challenge("the API key cannot be read")
        entry = self._users.api_keys.get(name)
        wanted = "0" * 64 if entry is None else entry.secret_sha256.lower()
        right = hmac.compare_digest(hashlib.sha256(secret.encode()).hexdigest(), wanted)
        if entry is None or not right:
            raise Challenge("wrong API key", key=name)
        return self._identity(name, entry.roles, entry.backend_roles)

    def _certificate(self, subject: str) -> Identity:
        name = self._by_certificate.get(subject)
        if name is None:
            raise Challenge(f"no user has the certificate of {subject}")
        entry = self._users.users[name]
        return self._identity(name, entry.roles, entry.backend_roles)

    async def _bearer(self, token: str, tokens: Tokens) -> Identity:
        try:
            claims = await tokens.claims(token)
        except KeysUnavailable:
            raise unavailable("the issuer's signing keys are unavailable") from None
        except ValueError as error:
            raise Challenge(f"the bearer token is not accepted: {error}") from None
        bearer = tokens.entry
        name = claims.get(bearer.name_claim)
        if not isinstance(name, str) or not name:
            raise Challenge(f"the bearer token has no claim {bearer.name_claim}")
        return self._identity(
            name, _texts(claims.get(bearer.roles_claim)), _texts(claims.get(bearer.backend_roles_claim))
        )

    def _identity(self, name: str, roles: list[str], backend_roles: list[str]) -> Identity:
        user = User(name=name, roles=roles, backend_roles=backend_roles)
        permissions = permissions_of(roles, self._permissions)
        if "*" in permissions:
            return Identity(user, permissions, sees_all=True)
        apart = self._users.filter_by_backend_role
        topics = topics_of(roles, self._topics)
        if topics is None and apart:
            topics = ()  # without a line in the file, teams must not read each other's topics
        return Identity(user, permissions, not apart, topics)


def _decoded(text: str) -> str:
    """Decoded base64; empty when it is invalid."""
    try:
        return base64.b64decode(text, validate=True).decode()
    except ValueError:
        return ""


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return value.split()
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []
