"""The file of users: one TOML document with users, API keys, a token issuer and further roles.

filter_by_backend_role = true

[users.anna]
password = "$argon2id$v=19$..."        # docs/security.md says how to make one
roles = ["operate"]
backend_roles = ["team-a"]

[users.scraper]
certificate = "CN=scraper,O=Example"   # the subject of the client certificate, as RFC 4514 writes it
roles = ["read"]

[api_keys.ci]
secret_sha256 = "9f86d0..."            # SHA-256 of the secret in hex: docs/security.md
roles = ["read"]

[bearer]
issuer = "https://id.example.org"
audience = "riverwatch"
jwks = "https://id.example.org/jwks"   # or a path
name_claim = "sub"
roles_claim = "roles"
backend_roles_claim = "groups"

[roles.viewer]
permissions = ["tasks/search"]

[roles.orders]
topics = ["orders.*"]                  # users with the role may read these topics only
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import msgspec
from argon2 import extract_parameters
from argon2.exceptions import InvalidHashError
from cryptography import x509

from api.security.permissions import ROLES
from schemas.errors import RiverwatchError


class UsersInvalid(RiverwatchError):
    """The file of users is unusable; the message says what is wrong."""


class UserEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A user with a password, or with a client certificate of this subject."""

    roles: list[str]
    password: str | None = None
    certificate: str | None = None
    backend_roles: list[str] = []


class KeyEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A program with an API key."""

    secret_sha256: str
    roles: list[str]
    backend_roles: list[str] = []


class BearerEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The issuer of tokens, and the claims that identify a user."""

    issuer: str
    jwks: str
    audience: str | None = None
    algorithms: tuple[str, ...] = ("RS256", "ES256", "EdDSA")
    name_claim: str = "sub"
    roles_claim: str = "roles"
    backend_roles_claim: str = "backend_roles"


class RoleEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A custom role, or changes to a built-in one: permissions and topics, with ``*`` as wildcard.

    Without ``permissions`` a built-in role keeps its own, and a custom one has none. Without ``topics``: no limit.
    """

    permissions: list[str] | None = None
    topics: list[str] | None = None


class Users(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file. With ``filter_by_backend_role`` users other than admins see only what shares a backend role.

    Users whose roles name no topics may then read none, and otherwise all.
    """

    users: dict[str, UserEntry] = {}
    api_keys: dict[str, KeyEntry] = {}
    bearer: BearerEntry | None = None
    roles: dict[str, RoleEntry] = {}
    filter_by_backend_role: bool = False

    def by_certificate(self) -> dict[str, str]:
        """The names of the users with a certificate, by its subject."""
        return {subject(each.certificate): name for name, each in self.users.items() if each.certificate is not None}

    def permissions(self) -> dict[str, tuple[str, ...]]:
        """The permissions of every role, built-in and custom."""
        own = {name: role.permissions for name, role in self.roles.items()}
        return {
            **ROLES,
            **{name: ROLES.get(name, ()) if given is None else tuple(given) for name, given in own.items()},
        }

    def topics(self) -> dict[str, tuple[str, ...]]:
        """The topic patterns of the roles that have some."""
        return {name: tuple(role.topics) for name, role in self.roles.items() if role.topics is not None}


def read_users(path: Path) -> Users:
    """Read the file. Raises ``UsersInvalid`` for any mistake in it."""
    try:
        with path.expanduser().open("rb") as file:
            users = msgspec.convert(tomllib.load(file), Users)
    except (OSError, ValueError, msgspec.ValidationError) as error:
        raise UsersInvalid(f"{path}: {error}") from error
    for name, role in users.roles.items():
        if role.permissions is None and role.topics is None:
            raise UsersInvalid(f"{path}: the role {name} has neither permissions nor topics")
        for pattern in role.topics or ():
            if re.fullmatch(r"[a-zA-Z0-9._*-]{1,249}", pattern) is None:
                raise UsersInvalid(f"{path}: the role {name} names {pattern!r}: no topic has such a name; * matches")
    known = users.permissions()
    entries: list[tuple[str, UserEntry | KeyEntry]] = [*users.users.items(), *users.api_keys.items()]
    for name, entry in entries:
        unknown = sorted(set(entry.roles) - known.keys())
        if unknown:
            raise UsersInvalid(f"{path}: {name} has unknown roles {', '.join(unknown)}")
    for name, key in users.api_keys.items():
        if re.fullmatch("[0-9a-fA-F]{64}", key.secret_sha256) is None:
            raise UsersInvalid(f"{path}: secret_sha256 of {name} is not 64 hex digits")
    subjects: dict[str, str] = {}
    for name, user in users.users.items():
        if user.password is None and user.certificate is None:
            raise UsersInvalid(f"{path}: {name} has neither a password nor a certificate")
        if user.password is not None and not _is_argon2(user.password):
            raise UsersInvalid(f"{path}: the password of {name} is not an argon2 hash")
        if user.certificate is not None:
            try:
                other = subjects.setdefault(subject(user.certificate), name)
            except ValueError as error:
                raise UsersInvalid(f"{path}: the certificate of {name} is not a subject: {error}") from error
            if other != name:
                raise UsersInvalid(f"{path}: {other} and {name} have the same certificate")
    return users


def _is_argon2(text: str) -> bool:
    try:
        extract_parameters(text)
    except (InvalidHashError, ValueError):
        return False
    return text.isascii()


def subject(text: str) -> str:
    """The subject of a certificate in canonical form. Raises ``ValueError``.

    >>> subject("CN=anna, O=Example")
    'CN=anna,O=Example'
    """
    return x509.Name.from_rfc4514_string(text.replace(", ", ",")).rfc4514_string()
