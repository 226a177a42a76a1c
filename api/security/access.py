"""Who sends a request, and what they may do and see; refusals are logged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import structlog

from api.detectors.catalog import Catalog, StoredDocument
from api.http.errors import Challenge, unknown_detector
from api.http.requests import Request
from api.security.authentication import Authenticator
from api.security.permissions import Identity, denied
from api.security.visibility import Visibility
from schemas.errors import Refused

log = structlog.get_logger()


class Access:
    """Access to one API process; without an ``authenticator`` everybody may do everything."""

    def __init__(self, catalog: Catalog, authenticator: Authenticator | None) -> None:
        self._catalog, self._authenticator = catalog, authenticator

    async def identify(
        self, headers: Mapping[str, str], permission: str, certificate: str | None = None, client: str = ""
    ) -> Identity | None:
        """The user of a request, who has the permission; None without authentication. Raises 401, 403 or 429."""
        if self._authenticator is None or permission == "":
            return None
        try:
            identity = await self._authenticator.identify(headers, certificate, client)
        except Challenge as challenge:
            log.warning("authentication refused", action=permission, reason=challenge.reason, **challenge.shown)
            raise
        except Refused as refused:
            log.warning("authentication not tried", action=permission, reason=refused.reason, client=client)
            raise
        if not identity.may(permission):
            log.warning("permission denied", user=identity.user.name, action=permission)
            raise denied(permission, identity.user)
        return identity

    def visibility(self, request: Request) -> Visibility:
        """What the user of a request sees."""
        return Visibility(self._catalog, request.identity)

    def detector(self, id: str, request: Request) -> StoredDocument:
        """The detector of this id. Raises 404 when there is none, 403 when the user does not see it."""
        found = self._catalog.detectors.get(id)
        if found is None:
            raise unknown_detector(id)
        self.allow(found, request)
        return found

    def allow(self, detector: StoredDocument | None, request: Request) -> None:
        """Raise 403 when the user does not see a detector; one that does not exist is left to the caller."""
        if detector is None or self.visibility(request).shows_document(detector):
            return
        self._log_denied(request, detector=detector.id)
        raise Refused(403, f"User does not have permissions to access config: {detector.id}")

    def allow_topics(self, indices: Sequence[str], request: Request) -> None:
        """Raise 403 when the user may not read all of these topics, whether or not they exist."""
        identity = request.identity
        refused = [] if identity is None else [index for index in indices if not identity.may_read(index)]
        if identity is None or not refused:
            return
        names, name = ", ".join(refused[:10]), identity.user.name
        self._log_denied(request, topics=names)
        reason = f"User {name} may not read [{names}]: no role of theirs has it among its topics in the file of users"
        raise Refused(403, reason, "security_exception")

    def allow_owning(self, request: Request) -> None:
        """Raise 403 when the user could not see a detector of their own, for want of a backend role."""
        identity = request.identity
        if identity is None or identity.sees({"backend_roles": identity.user.backend_roles}):
            return
        self._log_denied(request)
        name = identity.user.name
        reason = f"Filter by backend roles is enabled and User {name} does not have backend roles configured"
        raise Refused(403, reason)

    @staticmethod
    def _log_denied(request: Request, **about: str) -> None:
        user = None if request.user is None else request.user.name
        log.warning("permission denied", user=user, action=f"{request.method} {request.path}", **about)
