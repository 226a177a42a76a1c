"""From what a request shows to a user: HTTP basic, API keys, bearer tokens, client certificates."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jwt
import structlog
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from api.errors import Challenge
from api.security.permissions import Identity, permissions_of
from api.security.users import Users
from schemas.command import User

log = structlog.get_logger()

REMEMBERED_SECONDS = 60.0
"""How long a password that was right is not hashed again: a hash takes tens of milliseconds on purpose."""

REMEMBERED = 1000


class Authenticator:
    """Checks credentials against the file of users."""

    def __init__(self, users: Users) -> None:
        self._users = users
        self._permissions = users.permissions()
        self._by_certificate = users.by_certificate()
        self._hasher = PasswordHasher()
        # Hashed for unknown names, too: the time of an answer must not tell which names exist.
        self._nobody = self._hasher.hash("nobody")
        # One at a time: whoever guesses passwords gets one core, not all.
        self._executor = ThreadPoolExecutor(1, "passwords")
        self._remembered: dict[bytes, float] = {}
        self._salt = secrets.token_bytes(64)
        self._tokens = None if users.bearer is None else _Tokens(users)

    async def identify(self, headers: Mapping[str, str], certificate: str | None = None) -> Identity:
        """The user of a request. Raises ``Challenge`` (401) when nobody, or the wrong one, is shown.

        ``certificate`` is the subject of a client certificate that has been checked; headers go first.
        """
        scheme, _, credentials = headers.get("authorization", "").partition(" ")
        credentials = credentials.strip()
        if scheme.lower() == "basic":
            return await self._basic(credentials)
        if scheme.lower() == "apikey":
            return self._key(credentials)
        if headers.get("x-api-key"):
            return self._key(headers["x-api-key"])
        if scheme.lower() == "bearer" and self._tokens is not None:
            return await self._bearer(credentials, self._tokens)
        if certificate is not None and scheme == "":
            return self._certificate(certificate)
        raise Challenge("authentication is required")

    async def _basic(self, credentials: str) -> Identity:
        try:
            name, colon, password = base64.b64decode(credentials, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            raise Challenge("the credentials cannot be read") from None
        entry = self._users.users.get(name)
        seen = hashlib.blake2b(f"{name}:{password}".encode(), key=self._salt).digest()
        if entry is None or self._remembered.get(seen, 0.0) < time.monotonic():
            hashed = self._nobody if entry is None or entry.password is None else entry.password
            right = await asyncio.get_running_loop().run_in_executor(self._executor, self._verify, hashed, password)
            if entry is None or entry.password is None or not right or not colon:
                log.warning("wrong credentials", user=name)
                raise Challenge("wrong user or password")
            if len(self._remembered) >= REMEMBERED:
                self._remembered.clear()
            self._remembered[seen] = time.monotonic() + REMEMBERED_SECONDS
        return self._identity(name, entry.roles, entry.backend_roles)

    def _verify(self, hashed: str, password: str) -> bool:
        try:
            return self._hasher.verify(hashed, password)
        except (VerificationError, InvalidHashError):
            return False

    def _key(self, credentials: str) -> Identity:
        """``name:secret``, or the same in base64 as OpenSearch and Elasticsearch clients send it."""
        if ":" not in credentials:
            try:
                credentials = base64.b64decode(credentials, validate=True).decode()
            except (binascii.Error, UnicodeDecodeError):
                raise Challenge("the API key cannot be read") from None
        name, _, secret = credentials.partition(":")
        entry = self._users.api_keys.get(name)
        wanted = "0" * 64 if entry is None else entry.secret_sha256.lower()
        right = hmac.compare_digest(hashlib.sha256(secret.encode()).hexdigest(), wanted)
        if entry is None or not right:
            log.warning("wrong API key", key=name)
            raise Challenge("wrong API key")
        return self._identity(name, entry.roles, entry.backend_roles)

    def _certificate(self, subject: str) -> Identity:
        name = self._by_certificate.get(subject)
        if name is None:
            log.warning("a certificate of nobody", subject=subject)
            raise Challenge(f"no user has the certificate of {subject}")
        entry = self._users.users[name]
        return self._identity(name, entry.roles, entry.backend_roles)

    async def _bearer(self, token: str, tokens: _Tokens) -> Identity:
        try:
            claims = await asyncio.to_thread(tokens.claims, token)
        except (jwt.PyJWTError, OSError, ValueError) as error:
            log.warning("a bearer token was refused", reason=str(error))
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
        return Identity(user, permissions, not self._users.filter_by_backend_role or "*" in permissions)


class _Tokens:
    """Checks signed tokens with the issuer's keys, which are fetched once and again when a key is unknown."""

    def __init__(self, users: Users) -> None:
        assert users.bearer is not None
        self.entry = users.bearer
        self._key: Callable[[str], Any]
        if self.entry.jwks.startswith(("https://", "http://")):
            client = jwt.PyJWKClient(self.entry.jwks, cache_keys=True, timeout=5)
            self._key = lambda token: client.get_signing_key_from_jwt(token).key
        else:
            keys = jwt.PyJWKSet.from_dict(json.loads(Path(self.entry.jwks).read_text()))
            self._key = lambda token: keys[jwt.get_unverified_header(token).get("kid", "")].key

    def claims(self, token: str) -> dict[str, Any]:
        """The claims of a token whose signature, issuer, audience and times are right."""
        try:
            key = self._key(token)
        except KeyError:
            raise ValueError("its key is unknown") from None
        return jwt.decode(
            token,
            key,
            algorithms=list(self.entry.algorithms),
            issuer=self.entry.issuer,
            audience=self.entry.audience,
            options={"require": ["exp", "iss"], "verify_aud": self.entry.audience is not None},
        )


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return value.split()
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []
