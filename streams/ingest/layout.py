"""The struct that a topic's records are decoded into: generated from the fields that its plans name, no others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any

import msgspec

from schemas.query import Query
from schemas.query.tree import MultiField, Nested
from schemas.query.values import KEYWORD
from streams.ingest.extract import values_of
from streams.plan import Plan

Getter = Callable[[Any], Any]

_TYPES: dict[str, Any] = {
    "time": int | float | str | None,
    "number": float | str | None,
    "category": str | int | None,
    "any": Any,
}


class Layout:
    """Fast decoding of the records that are as expected; whatever isn't raises ``msgspec.MsgspecError``.

    ``decode`` reads one record, ``getters`` get the values of a path from what it returns: None for nothing, a list
    where there are several. ``checked`` are the paths whose values have the type that their use asks for, ``numbers``
    those whose values are floats or texts (or lists, where the path has dots); those of others may be anything.
    ``blank`` is a record without any value.

    ``whole`` is set when a filter looks at fields that can't be listed (patterns, nested objects): then nothing can
    be left out, and records are to be read as a whole, which costs about ten times as much.
    """

    def __init__(self, plans: Sequence[Plan]) -> None:
        self._uses: dict[str, set[str]] = {}
        self.whole = False
        for plan in plans:
            self._use(plan.time, "time")
            for path in plan.categories:
                self._use(path, "category")
            self._filter(plan.filter)
            for entry in plan.inputs:
                self._use(entry.path, "number" if entry.reads == "number" else "any")
                self._filter(entry.filter)
        kinds = {path: self._kind(uses) for path, uses in self._uses.items()}
        # A number may also come as a text.
        self.checked = frozenset(
            path for path, kind in kinds.items() if kind in ("time", "category") and "." not in path
        )
        self.numbers = frozenset(path for path, kind in kinds.items() if kind == "number")
        struct, getters = _struct("Record", kinds)
        self.getters: dict[str, Getter] = {path: _combined(found) for path, found in getters.items()}
        for path in kinds:
            if path.endswith(KEYWORD):
                self.getters[path] = _or_keyword(self.getters[path], self.getters[path.removesuffix(KEYWORD)])
        self.blank: Any = struct()
        self.decode: Callable[[bytes], Any] = msgspec.json.Decoder(struct).decode
        self.decode_many: Callable[[bytes], list[Any]] = msgspec.json.Decoder(
            list[struct]  # type: ignore[valid-type]
        ).decode

    def _use(self, path: str, kind: str) -> None:
        self._uses.setdefault(path, set()).add(kind)
        if path.endswith(KEYWORD):
            self._use(path.removesuffix(KEYWORD), kind)

    def _filter(self, query: Query | None) -> None:
        if query is None:
            return
        for path in query.fields():
            self._use(path, "any")
        self.whole |= any(isinstance(clause, MultiField | Nested) for clause in query.walk())

    @staticmethod
    def _kind(uses: set[str]) -> str:
        # What only a filter or a count looks at does not matter to the type; two meanings leave it open.
        meanings = uses - {"any"}
        return meanings.pop() if len(meanings) == 1 else "any"


@dataclass
class _Member:
    leaf: str | None = None
    below: dict[str, str] = field(default_factory=dict)


def _struct(name: str, kinds: Mapping[str, str], above: str = "") -> tuple[type, dict[str, list[Getter]]]:
    """A struct for the paths, with every way that leads to each: nested objects, names with dots, and mixtures.

    ``above`` leads from the record to the struct.
    """
    members: dict[str, _Member] = {}
    for path, kind in kinds.items():
        members.setdefault(path, _Member()).leaf = kind
        cut = -1 if path.endswith(KEYWORD) else path.find(".")
        while cut != -1:
            members.setdefault(path[:cut], _Member()).below[path[cut + 1 :]] = kind
            cut = path.find(".", cut + 1)
    fields: list[tuple[str, Any, Any]] = []
    rename: dict[str, str] = {}
    getters: dict[str, list[Getter]] = {path: [] for path in kinds}
    for number, (member, uses) in enumerate(members.items()):
        attribute = f"f{number}"
        rename[attribute] = member
        get = attrgetter(above + attribute)
        if uses.leaf is not None:
            fields.append((attribute, Any if uses.below else _TYPES[uses.leaf], None))
            getters[member].append(get)
            for rest in uses.below:
                getters[f"{member}.{rest}"].append(_inside(get, rest))
        else:
            nested, inner = _struct(f"{name}_{attribute}", uses.below, f"{above}{attribute}.")
            fields.append((attribute, nested, nested()))
            for rest, found in inner.items():
                getters[f"{member}.{rest}"] += found
    struct = msgspec.defstruct(name, fields, rename=rename, frozen=True, gc=False)
    return struct, getters


def _inside(getter: Getter, rest: str) -> Getter:
    return lambda record: _one(values_of(getter(record), rest))


def _combined(getters: Sequence[Getter]) -> Getter:
    if len(getters) == 1:
        return getters[0]

    def get(record: Any) -> Any:
        return _one([value for each in getters if (value := each(record)) is not None])

    return get


def _or_keyword(literal: Getter, text: Getter) -> Getter:
    def get(record: Any) -> Any:
        value = literal(record)
        if value is None:
            value = text(record)
            if isinstance(value, Mapping):
                return _one(values_of(value, KEYWORD[1:]))
        return value

    return get


def _one(values: list[Any]) -> Any:
    return None if not values else values[0] if len(values) == 1 else values
