"""``GET /``, which clients call first, and the health routes."""

from __future__ import annotations

from api.detectors.catalog import Catalog
from api.http.requests import Answer, Request
from api.kafka.readiness import Readiness
from api.nodes.view import Nodes
from api.settings import ApiSettings

COMPATIBLE_VERSION = "3.6.0"
"""The version of OpenSearch that the API is compatible with; clients check it."""


async def root(_request: Request, settings: ApiSettings) -> Answer:
    """``GET /``: name and version, as OpenSearch clients expect them."""
    return Answer(
        {
            "name": "riverwatch",
            "cluster_name": settings.prefix.rstrip(".-_") or "riverwatch",
            "cluster_uuid": "riverwatch",
            "version": {
                "distribution": "opensearch",
                "number": COMPATIBLE_VERSION,
                "build_type": "riverwatch",
                "minimum_wire_compatibility_version": "2.19.0",
                "minimum_index_compatibility_version": "2.0.0",
            },
            "tagline": "Riverwatch: anomaly detection on Apache Kafka",
        }
    )


async def health(
    request: Request, catalog: Catalog, nodes: Nodes, readiness: Readiness, settings: ApiSettings
) -> Answer:
    """``GET /_health`` and ``GET /_cluster/health``: 200 when requests can be answered, else 503 and why."""
    why = readiness.why_not()
    live = nodes.live(request.now)
    body = {
        "cluster_name": settings.prefix.rstrip(".-_") or "riverwatch",
        "status": "red" if why else ("green" if live else "yellow"),
        "timed_out": False,
        "number_of_nodes": len(live),
        "number_of_data_nodes": len(live),
    }
    if settings.users is None:  # without authentication anybody may know
        body["detectors"] = len(catalog.detectors)
    if why is not None:
        body["reason"] = why
    elif not live:
        body["reason"] = "no worker has been heard from: detectors can be read, but nothing runs"
    return Answer(body, 503 if why else 200)
