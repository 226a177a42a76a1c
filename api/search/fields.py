"""Which parts of a document a search shows: ``_source`` in all its forms, ``docvalue_fields`` and ``fields``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from schemas.query.dates import format_date
from schemas.query.errors import malformed
from schemas.query.fields import Field, Types, nested_path, stored_path
from schemas.query.memory import getter
from schemas.query.pattern import compile_wildcard
from schemas.query.read import token


@dataclass(frozen=True)
class SourceFilter:
    """Which members of the source are shown: those that an include names (all when there are none), no excludes.

    A pattern names a path with everything below it; ``*`` is a wildcard. ``wanted`` False shows no source.
    """

    includes: tuple[str, ...] = ()
    excludes: tuple[str, ...] = ()
    wanted: bool = True

    def apply(self, source: Mapping[str, Any]) -> dict[str, Any]:
        """The members that are shown.

        >>> SourceFilter(includes=("detector.name",)).apply({"state": "RUNNING", "detector": {"name": "a", "x": 1}})
        {'detector': {'name': 'a'}}
        """
        if not self.includes and not self.excludes:
            return dict(source)
        shown = _filtered(source, "", _Patterns(self.includes), _Patterns(self.excludes), not self.includes)
        return shown if isinstance(shown, dict) else {}


class _Patterns:
    """Tells for a path whether it or something above it is named, and whether something below it may be."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self._plain = frozenset(name for name in names if "*" not in name)
        self._tests = [compile_wildcard(name) for name in names if "*" in name]

    def has(self, path: str) -> bool:
        if path in self._plain or any(test(path) for test in self._tests):
            return True
        above, dot, _ = path.rpartition(".")
        return bool(dot) and self.has(above)

    def leads_to(self, path: str) -> bool:
        inside = path + "."
        return bool(self._tests) or any(name.startswith(inside) for name in self._plain)


_NOTHING = object()


def _filtered(value: Any, path: str, includes: _Patterns, excludes: _Patterns, included: bool) -> Any:
    if isinstance(value, Mapping):
        shown = {}
        for name, one in value.items():
            below = f"{path}.{name}" if path else name
            if excludes.has(below):
                continue
            inside = included or includes.has(below)
            if inside and not excludes.leads_to(below):
                shown[name] = one
                continue
            if not inside and not includes.leads_to(below):
                continue
            kept = _filtered(one, below, includes, excludes, inside)
            if kept is not _NOTHING:
                shown[name] = kept
        return shown if shown or included else _NOTHING
    if isinstance(value, list):
        items = [_filtered(one, path, includes, excludes, included) for one in value]
        items = [one for one in items if one is not _NOTHING]
        return items if items or included else _NOTHING
    return value if included else _NOTHING


def parse_source(value: Any) -> SourceFilter:
    """Read ``_source``: a boolean, a name, a list of names, or ``{"includes": …, "excludes": …}``."""
    if value is None:
        return SourceFilter()
    if isinstance(value, bool):
        return SourceFilter(wanted=value)
    if isinstance(value, str | list):
        return SourceFilter(includes=_names(value, "_source"))
    if not isinstance(value, Mapping):
        raise malformed(f"Expected one of [VALUE_BOOLEAN, START_OBJECT] but found [{token(value)}]")
    parts: dict[str, tuple[str, ...]] = {}
    for name, names in value.items():
        part = {"include": "includes", "exclude": "excludes"}.get(name, name)
        if part not in ("includes", "excludes"):
            raise malformed(f"Unknown key for a {token(names)} in [{name}].")
        parts[part] = _names(names, name)
    return SourceFilter(parts.get("includes", ()), parts.get("excludes", ()))


def _names(value: Any, member: str) -> tuple[str, ...]:
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list):
        raise malformed(f"Unknown key for a {token(value)} in [{member}].")
    for name in names:
        if not isinstance(name, str):
            raise malformed(f"Unknown key for a {token(name)} in [{member}].")
    return tuple(names)


@dataclass(frozen=True)
class DocvalueField:
    """A field whose values stand under ``fields`` of each hit; dates as text in ``format``."""

    pattern: str
    format: str | None = None


def parse_docvalue_fields(*values: Any) -> tuple[DocvalueField, ...]:
    """Read ``docvalue_fields`` and ``fields``: names, or objects with ``field`` and ``format``."""
    found: list[DocvalueField] = []
    for value in values:
        if value is None:
            continue
        if not isinstance(value, list):
            raise malformed(f"Unknown key for a {token(value)} in [docvalue_fields].")
        for one in value:
            if isinstance(one, str):
                found.append(DocvalueField(one))
            elif isinstance(one, Mapping) and isinstance(one.get("field"), str) and set(one) <= {"field", "format"}:
                form = one.get("format")
                if form is not None and not isinstance(form, str):
                    raise malformed(f"[docvalue_fields] format doesn't support values of type: {token(form)}")
                found.append(DocvalueField(one["field"], form))
            else:
                raise malformed("[docvalue_fields] wants names of fields or objects with [field] and [format]")
    return tuple(found)


def field_values(wanted: tuple[DocvalueField, ...], types: Types, source: Mapping[str, Any]) -> dict[str, list[Any]]:
    """What stands under ``fields`` of a hit: fields without a value are left out."""
    shown: dict[str, list[Any]] = {}
    for one in wanted:
        test = compile_wildcard(one.pattern)
        for name, type_ in types.items():
            if type_ in ("object", "nested") or not test(name) or nested_path(types, name):
                continue
            values = getter(Field(stored_path(types, name), type_))(source)
            if type_ == "date":
                values = [format_date(value, form=one.format) for value in values]
            if values:
                shown[name] = values
    return shown
