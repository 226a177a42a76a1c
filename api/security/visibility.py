"""Which detectors a user sees, and with them their tasks, results and models."""

from __future__ import annotations

from api.detectors.catalog import Catalog, StoredDocument
from api.security.permissions import Identity


class Visibility:
    """What one user sees; without authentication (``identity`` None) that is everything.

    What belongs to a detector is as visible as the detector. What belongs to a deleted one is visible only to users who
    see everything.

    >>> from schemas.command import User
    >>> catalog = Catalog()
    >>> catalog.apply_detector("d", b'{"id":"d","version":1,"control_offset":1,"document":{"name":"cpu"}}', 1)
    >>> Visibility(catalog, None).shows("d"), Visibility(catalog, Identity(User(name="eve"), (), False)).shows("d")
    (True, False)
    """

    def __init__(self, catalog: Catalog, identity: Identity | None) -> None:
        self._catalog = catalog
        self._identity = identity

    @property
    def everything(self) -> bool:
        """Whether the user sees everything."""
        return self._identity is None or self._identity.sees_all

    def shows(self, detector_id: str) -> bool:
        """Whether the user sees the detector of this id and what belongs to it."""
        if self.everything:
            return True
        detector = self._catalog.detectors.get(detector_id)
        return detector is not None and self.shows_document(detector)

    def shows_document(self, document: StoredDocument) -> bool:
        """Whether the user sees a detector or a task."""
        if self._identity is None or self._identity.sees_all:
            return True
        if "task_type" in document.source:
            # By the detector's owner, not by the user who started it; most entity tasks contain no detector.
            return self.shows(document.source["detector_id"])
        return self._identity.sees(document.source.get("user"))

    def detectors(self) -> list[StoredDocument]:
        """The detectors that the user sees."""
        return [each for each in self._catalog.detectors if self.shows_document(each)]
