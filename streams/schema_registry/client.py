"""A schema registry in Confluent's shape, asked through confluent-kafka's client. The one part here that does I/O."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from typing import Any

from schemas.errors import RiverwatchError
from streams.formats.written_schema import KnownSchemas, SchemaKind, WrittenSchema

PREFIX = "RIVERWATCH_SCHEMA_REGISTRY_"
_UNKNOWN = 404


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


class SchemaRegistry:
    """Fetches schemas into ``known``. ``settings`` are the client's; without a ``url`` there is no registry."""

    def __init__(self, settings: Mapping[str, str]) -> None:
        self._settings = dict(settings)
        self._client: Any = None
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

        try:
            if self._client is None:
                self._client = SchemaRegistryClient(self._settings)
            self.known.add(id, self._read(self._client, id))
        except SchemaRegistryError as error:
            if error.http_status_code != _UNKNOWN:
                raise RegistryAway(f"the schema registry at {url} answers: {error}") from error
            self.known.refuse(id, f"the schema registry at {url} has no schema {id}")
        except Exception as error:  # the client raises what its HTTP library does, and that changes with its releases
            raise RegistryAway(f"the schema registry at {url} does not answer: {str(error)[:200]}") from error

    @staticmethod
    def _read(client: Any, id: int) -> WrittenSchema:
        schema: Any = client.get_schema(id)
        kind: SchemaKind = schema.schema_type or "AVRO"
        serialized = "serialized" if kind == "PROTOBUF" else None
        if serialized is not None:
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
