"""Schemas of a registry: what framed records are read with, and which ones are known."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from streams.formats.codec import Unreadable

SchemaKind = Literal["AVRO", "JSON", "PROTOBUF"]


@dataclass(frozen=True)
class WrittenSchema:
    """A schema as the registry gives it. ``references`` are names and texts, each behind those that it needs.

    The texts of Protobuf are serialised file descriptors in base64 (``format=serialized``).
    """

    kind: SchemaKind
    text: str
    references: tuple[tuple[str, str], ...] = ()


class SchemasWanted(Exception):
    """Records can't be read before the schemas with these ids are known: fetch them, and read again."""

    def __init__(self, ids: Iterable[int]) -> None:
        self.ids = frozenset(ids)
        super().__init__(f"schemas {', '.join(map(str, sorted(self.ids)))} are wanted")


class KnownSchemas:
    """The schemas that have been fetched so far, shared by all codecs of a process.

    ``refused`` are ids that never will be, with the reason.
    """

    def __init__(self) -> None:
        self._schemas: dict[int, WrittenSchema] = {}
        self._refused: dict[int, str] = {}

    def add(self, id: int, schema: WrittenSchema) -> None:
        """The registry has this schema."""
        self._schemas[id] = schema

    def refuse(self, id: int, reason: str) -> None:
        """There will be no such schema, for this reason."""
        self._refused[id] = reason

    def get(self, id: int) -> WrittenSchema:
        """The schema of an id. Raises ``Unreadable`` for one that is refused, ``SchemasWanted`` for one yet unknown."""
        if id in self._refused:
            raise Unreadable(self._refused[id])
        if id not in self._schemas:
            raise SchemasWanted([id])
        return self._schemas[id]
