"""A schema registry in Confluent's shape, asked through confluent-kafka's client. The one part here that does I/O."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from typing import Any

from schemas.errors import RiverwatchError
from streams.formats.written_schema import KnownSchemas, SchemaKind, WrittenSchema

PREFIX = "RIVERWATCH_SCHEMA_REGISTRY_"
_UNKNOWN = 404
_NUMBERS = (
    "cache.capacity",
    "cache.latest.ttl.sec",
    "max.retries",
    "retries.max.wait.ms",
    "retries.wait.ms",
    "timeout",
)
"""Properties that the client takes as numbers only."""


class RegistryAway(RiverwatchError):
    """The registry does not answer, or not with what was asked for; the text says where it was sought."""


def registry_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """What the variables say, as the client takes it.

    >>> registry_settings({"RIVERWATCH_SCHEMA_REGISTRY_URL": "http://r:8081", "RIVERWATCH_BROKERS": "k"})
    {'url': 'http://r:8081'}
    """
    return {
        name.removeprefix(PREFIX).lower().replace("_", "."): value
        for name, value in environment.items()
        if name.startswith(PREFIX) and value
    }


def _configuration(settings: Mapping[str, str]) -> dict[str, Any]:
    try:
        return {name: int(value) if name in _NUMBERS else value for name, value in settings.items()}
    except ValueError as error:
        raise RegistryAway(f"the settings {PREFIX}* can't be used: {error}") from None


class SchemaRegistry:
    """Fetches schemas into ``known``. ``settings`` are the client's; without a ``url`` there is no registry."""

    def __init__(self, settings: Mapping[str, str]) -> None:
        self._settings = dict(settings)
        self._client: Any = None
        self._serialized: Any = None
        self._one = threading.Lock()
        self.known = KnownSchemas()

    def fetch(self, ids: Iterable[int]) -> None:
        """Make the schemas with these ids known, or refused. Blocks; raises ``RegistryAway``."""
        with self._one:
            for id in ids:
                self._fetch(id)

    def _fetch(self, id: int) -> None:
        url = self._settings.get("url")
        if url is None:
            reason = f"written with schema {id} of a registry: {PREFIX}URL has to say where that is"
            self.known.refuse(id, reason)
            return
        # Here, since it takes a while to import and few have a registry.
        from confluent_kafka.schema_registry import SchemaRegistryClient
        from confluent_kafka.schema_registry.error import SchemaRegistryError

        if self._client is None:
            try:
                # Two, since the client remembers schemas by their ids, whatever form they were asked for in.
                self._serialized = SchemaRegistryClient(_configuration(self._settings))
                self._client = SchemaRegistryClient(_configuration(self._settings))
            except (TypeError, ValueError) as error:
                raise RegistryAway(f"the settings {PREFIX}* can't be used: {error}") from error
        try:
            self.known.add(id, self._read(id))
        except SchemaRegistryError as error:
            if error.http_status_code != _UNKNOWN:
                raise RegistryAway(f"the schema registry at {url} answers: {error}") from error
            self.known.refuse(id, f"the schema registry at {url} has no schema {id}")
        except Exception as error:  # the client raises what its HTTP library does, and that changes with its releases
            raise RegistryAway(f"the schema registry at {url} does not answer: {str(error)[:200]}") from error

    def _read(self, id: int) -> WrittenSchema:
        client = self._client
        schema: Any = client.get_schema(id)
        kind: SchemaKind = schema.schema_type or "AVRO"
        serialized = "serialized" if kind == "PROTOBUF" else None
        if serialized is not None:
            client = self._serialized
            schema = client.get_schema(id, fmt=serialized)
        found: dict[str, str] = {}

        def collect(references: Any) -> None:
            for reference in references or ():
                if reference.name not in found:
                    inner = client.get_version(reference.subject, reference.version, fmt=serialized).schema
                    collect(inner.references)
                    found[reference.name] = inner.schema_str

        collect(schema.references)
        return WrittenSchema(kind, schema.schema_str, tuple(found.items()))
