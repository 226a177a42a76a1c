"""The names in ``_index``: OpenSearch's, or Search Guard's."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class IndexNames:
    """The index names of one dialect."""

    detectors: str
    tasks: str
    results: str


OPENSEARCH = IndexNames(
    ".opendistro-anomaly-detectors", ".opendistro-anomaly-detection-state", ".opendistro-anomaly-results"
)
SEARCH_GUARD = IndexNames(".searchguard-ad-anomaly-detectors", ".searchguard-ad-state", ".searchguard-ad-results")
