"""The file of users: one TOML document with users, API keys, a token issuer and further roles.

filter_by_backend_role = true

[users.anna]
password = "$argon2id$v=19$..."        # `riverwatch password` makes one
roles = ["operate"]
backend_roles = ["team-a"]

[api_keys.ci]
secret_sha256 = "9f86d0..."            # hex; the secret itself is shown once, when it is made
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
"""

from __future__ import annotations

import tomllib
from pathlib import Path

import msgspec

from api.security.permissions import ROLES
from schemas.errors import RiverwatchError


class UsersInvalid(RiverwatchError):
    """The file of users cannot be read; the message says what is wrong where."""


class UserEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A user who shows a name and a password."""

    password: str
    roles: list[str]
    backend_roles: list[str] = []


class KeyEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A program that shows an API key."""

    secret_sha256: str
    roles: list[str]
    backend_roles: list[str] = []


class BearerEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whose tokens are taken, and which claims say who somebody is."""

    issuer: str
    jwks: str
    audience: str | None = None
    algorithms: tuple[str, ...] = ("RS256", "ES256", "EdDSA")
    name_claim: str = "sub"
    roles_claim: str = "roles"
    backend_roles_claim: str = "backend_roles"


class RoleEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A role of one's own: permission names, ``*`` matches."""

    permissions: list[str]


class Users(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file. ``filter_by_backend_role``: who is no admin sees only what shares a backend role."""

    users: dict[str, UserEntry] = {}
    api_keys: dict[str, KeyEntry] = {}
    bearer: BearerEntry | None = None
    roles: dict[str, RoleEntry] = {}
    filter_by_backend_role: bool = False

    def permissions(self) -> dict[str, tuple[str, ...]]:
        """The permissions of every role, ready ones and further ones."""
        return {**ROLES, **{name: tuple(role.permissions) for name, role in self.roles.items()}}


def read_users(path: Path) -> Users:
    """Read the file. Raises ``UsersInvalid``, so that a mistake never lets anybody in."""
    try:
        with path.expanduser().open("rb") as file:
            users = msgspec.convert(tomllib.load(file), Users)
    except (OSError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise UsersInvalid(f"{path}: {error}") from error
    known = users.permissions()
    entries: list[tuple[str, UserEntry | KeyEntry]] = [*users.users.items(), *users.api_keys.items()]
    for name, entry in entries:
        unknown = sorted(set(entry.roles) - known.keys())
        if unknown:
            raise UsersInvalid(f"{path}: {name} has unknown roles {', '.join(unknown)}")
    for name, user in users.users.items():
        if not user.password.startswith("$argon2"):
            raise UsersInvalid(f"{path}: the password of {name} is not an argon2 hash")
    return users
