"""Permissions of roles, by the names of OpenSearch's actions, and what a user sees."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from schemas.command import User
from schemas.errors import Refused
from schemas.query.pattern import compile_wildcard

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
"""Built-in roles: ``read``, ``operate`` (also starts and stops), ``admin`` (may and sees everything)."""


@dataclass(frozen=True)
class Identity:
    """An authenticated user. With ``sees_all`` detectors of all backend roles are visible.

    ``topics`` are patterns of the topics that the user may read; None for all.
    """

    user: User
    permissions: tuple[str, ...]
    sees_all: bool
    topics: tuple[str, ...] | None = None

    def may(self, permission: str) -> bool:
        """Whether one of the user's roles has the permission.

        >>> Identity(User(name="a"), ROLES["read"], True).may("detector/write")
        False
        """
        return permission == "" or any(fnmatchcase(permission, pattern) for pattern in self.permissions)

    def may_read(self, index: str) -> bool:
        """Whether the user may read an entry of a detector's ``indices``: a topic, or all topics of a pattern.

        A pattern must lie within one of the user's patterns, whichever topics exist now.

        >>> anna = Identity(User(name="anna"), (), True, topics=("orders.*", "tax"))
        >>> [anna.may_read(index) for index in ("orders.eu", "orders.e*", "tax")]
        [True, True, True]
        >>> [anna.may_read(index) for index in ("*", "order*", "orders", "tax*")]
        [False, False, False, False]
        """
        # A * in the index is compared as a character, which only a * in a pattern matches: topic names contain none,
        # and patterns with other wildcards are refused in the file of users.
        return self.topics is None or any(compile_wildcard(pattern)(index) for pattern in self.topics)

    def sees(self, owner: Mapping[str, object] | None) -> bool:
        """Whether the user sees a document of ``owner`` (its ``user`` member)."""
        if self.sees_all or owner is None:
            return self.sees_all
        theirs = owner.get("backend_roles")
        return isinstance(theirs, list) and not set(theirs).isdisjoint(self.user.backend_roles)


def permissions_of(roles: Iterable[str], known: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """The permissions of several roles together; unknown names give none."""
    return tuple(dict.fromkeys(permission for role in roles for permission in known.get(role, ())))


def topics_of(roles: Iterable[str], known: Mapping[str, tuple[str, ...]]) -> tuple[str, ...] | None:
    """The topic patterns of several roles together; None when none of them has any.

    >>> topics_of(["read", "orders"], {"orders": ("orders.*",)}), topics_of(["read"], {"orders": ("orders.*",)})
    (('orders.*',), None)
    """
    found = [known[role] for role in roles if role in known]
    return tuple(dict.fromkeys(pattern for patterns in found for pattern in patterns)) if found else None


def denied(permission: str, user: User) -> Refused:
    """403, as OpenSearch's security plugin words it."""
    roles = ", ".join(user.backend_roles)
    return Refused(
        403,
        f"no permissions for [cluster:admin/opendistro/ad/{permission}] and User [name={user.name},"
        f" backend_roles=[{roles}], requestedTenant={user.user_requested_tenant or 'null'}]",
        "security_exception",
    )
