"""What each role may do, by the anchor's action names (section 1.20), and what a user may see."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from schemas.command import User
from schemas.errors import Refused

_READ = (
    "detector/search",
    "detector/info",
    "detector/preview",
    "detector/validate",
    "detector/suggest",
    "detector/stats",
    "detectors/get",
    "tasks/search",
    "result/search",
    "result/topAnomalies",
)

ROLES: dict[str, tuple[str, ...]] = {
    "read": _READ,
    "operate": (*_READ, "detector/jobmanagement", "detector/run"),
    "admin": ("*",),
}
"""The ready roles: ``read`` looks, ``operate`` also starts and stops, ``admin`` may and sees everything."""


@dataclass(frozen=True)
class Identity:
    """An authenticated user. ``sees_all`` is not bound to detectors of their own backend roles."""

    user: User
    permissions: tuple[str, ...]
    sees_all: bool

    def may(self, permission: str) -> bool:
        """Whether one of the user's roles has the permission.

        >>> Identity(User(name="a"), ROLES["read"], True).may("detector/write")
        False
        """
        return permission == "" or any(fnmatchcase(permission, pattern) for pattern in self.permissions)

    def sees(self, owner: Mapping[str, object] | None) -> bool:
        """Whether a document that belongs to ``owner`` (its ``user`` member) is shown to this user."""
        if self.sees_all or owner is None:
            return self.sees_all
        theirs = owner.get("backend_roles")
        return isinstance(theirs, list) and not set(theirs).isdisjoint(self.user.backend_roles)


def permissions_of(roles: Iterable[str], known: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """The permissions of several roles together; unknown names give none."""
    return tuple(dict.fromkeys(permission for role in roles for permission in known.get(role, ())))


def denied(permission: str, user: User) -> Refused:
    """403 in the words of OpenSearch's security."""
    roles = ", ".join(user.backend_roles)
    return Refused(
        403,
        f"no permissions for [cluster:admin/opendistro/ad/{permission}] and User [name={user.name},"
        f" backend_roles=[{roles}], requestedTenant={user.user_requested_tenant or 'null'}]",
        "security_exception",
    )
