"""Fields and their types, as OpenSearch's index mappings give them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

FieldType = Literal["keyword", "text", "long", "double", "date", "boolean", "object", "nested", "any"]
"""``any`` is a field of a record, which has no mapping: each value is compared by its own type, texts as keywords."""

Types = Mapping[str, FieldType]
"""Field types by dotted path. ``text`` fields have a sub-field ``keyword`` where it is listed."""


class _Records(Mapping[str, FieldType]):
    def __getitem__(self, path: str) -> FieldType:
        return "any"

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


RECORDS: Types = _Records()
"""The types of records of a topic: every field there is, and none that could be listed."""


@dataclass(frozen=True, slots=True)
class Field:
    """Values of one type at a path, which begins at the document or at ``scope``, the nested object looked at."""

    path: str
    type: FieldType
    scope: str = ""

    @property
    def within(self) -> str:
        """The path inside the scope."""
        return self.path[len(self.scope) + 1 :] if self.scope else self.path


def find_field(types: Types, name: str, scope: str = "") -> Field | None:
    """The field of this name, None when objects at ``scope`` have no values of it."""
    type_ = types.get(name)
    if types is RECORDS:
        return Field(name, "any", scope) if not scope or name.startswith(scope + ".") else None
    if type_ is None or type_ in ("object", "nested") or nested_path(types, name) != scope:
        return None
    return Field(stored_path(types, name), type_, scope)


def nested_path(types: Types, field: str) -> str:
    """The innermost nested object that a field lies in, "" for a field of the document itself.

    >>> nested_path({"entity": "nested", "entity.name": "keyword"}, "entity.name")
    'entity'
    """
    end = field.rfind(".")
    while end != -1:
        if types.get(field[:end]) == "nested":
            return field[:end]
        end = field.rfind(".", 0, end)
    return ""


def stored_path(types: Types, field: str) -> str:
    """Where a field's values stand in the document: a ``keyword`` sub-field has those of its text.

    >>> stored_path({"name": "text", "name.keyword": "keyword"}, "name.keyword")
    'name'
    """
    above, _, last = field.rpartition(".")
    return above if last == "keyword" and types.get(above) == "text" else field
