"""The OpenAPI 3.1 document of the API, made from the table of routes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from api.documents.openapi_bodies import ANSWERS, REQUESTS, SCHEMAS
from api.http.route import SEARCH_PARAMETERS, Route

_PARAMETER = re.compile(r"\{([^}]*)\}")

_ERROR: dict[str, Any] = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "status": {"type": "integer"},
        "error": {
            "oneOf": [
                {"type": "string"},
                {
                    "type": "object",
                    "required": ["type", "reason", "root_cause"],
                    "properties": {
                        "type": {"type": "string"},
                        "reason": {"type": "string"},
                        "root_cause": {"type": "array", "items": {"type": "object"}},
                    },
                },
            ]
        },
    },
}

_PLAIN_TEXT = ("/_preview", "/_run")
"""Routes with refusals in plain text, as in OpenSearch."""

_FLAGS = frozenset({"job", "task", "historical", "_all", "pretty", "human", "error_trace"})
_NUMBERS = frozenset({"if_seq_no", "if_primary_term", "version"})
_CHOICES = {"refresh": ["true", "false", "wait_for"], "from": ["now", "earliest"]}


def document(routes: Iterable[Route]) -> dict[str, Any]:
    """The whole document; paths have OpenSearch's prefix, the other prefixes are named in the description."""
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        _, path = next(route.paths())
        for method in route.methods:
            paths.setdefault(path, {})[method.lower()] = _operation(route, method, path)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Riverwatch",
            "version": "1",
            "description": "OpenSearch's Anomaly Detection API over Kafka topics. The routes are also available "
            "under /_anomaly_detection/api, the original ones under /_opendistro/_anomaly_detection.",
        },
        "paths": paths,
        "components": {
            "schemas": {"Error": _ERROR, **SCHEMAS},
            "securitySchemes": {
                "basic": {"type": "http", "scheme": "basic"},
                "bearer": {"type": "http", "scheme": "bearer"},
                "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            },
        },
        "security": [{}, {"basic": []}, {"bearer": []}, {"key": []}],
    }


def _operation(route: Route, method: str, path: str) -> dict[str, Any]:
    extra = SEARCH_PARAMETERS if route.body == "search" else ()
    operation: dict[str, Any] = {
        "summary": route.summary,
        "operationId": f"{method.lower()} {path}",
        "parameters": [
            *({"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in _names(path)),
            *(_parameter(name) for name in (*route.parameters, *extra)),
        ],
        "responses": {
            "201" if route.tail == "/detectors" else "200": {
                "description": "done",
                "content": {
                    "text/html" if route.tail == "/_docs" else "application/json": {
                        "schema": _schema(ANSWERS.get((method, route.tail)))
                    }
                },
            },
            "default": {"description": "refused", "content": _refusals(route)},
        },
    }
    if method == "HEAD":
        operation["responses"] = {"200": {"description": "it exists"}, "default": {"description": "it does not"}}
    if route.body != "none":
        operation["requestBody"] = {
            "required": route.body == "required",
            "content": {
                "application/json": {
                    "schema": _schema("Search" if route.body == "search" else REQUESTS.get(route.tail))
                }
            },
        }
    return operation


def _schema(name: str | None) -> dict[str, Any]:
    return {} if name is None else {"$ref": f"#/components/schemas/{name}"}


def _refusals(route: Route) -> dict[str, Any]:
    refusals: dict[str, Any] = {"application/json": {"schema": _schema("Error")}}
    if route.tail.endswith(_PLAIN_TEXT):
        refusals["text/plain"] = {"schema": {"type": "string"}}
    return refusals


def _names(path: str) -> list[str]:
    return _PARAMETER.findall(path)


def _parameter(name: str) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    if name in _FLAGS:
        schema = {"type": "boolean"}
    elif name in _NUMBERS:
        schema = {"type": "integer"}
    elif name in _CHOICES:
        schema = {"type": "string", "enum": _CHOICES[name]}
    return {"name": name, "in": "query", "schema": schema}
