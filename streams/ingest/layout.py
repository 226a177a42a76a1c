"""The struct that a topic's records are decoded into: generated from the fields that its plans name, no others."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any

import msgspec

from schemas.kafka_fields import is_kafka_field
from schemas.query import Query
from schemas.query.tree import Exists, MultiField, Nested
from schemas.query.values import KEYWORD, one_or_list, values_at
from streams.features.plan import Plan
from streams.formats.values import only

Getter = Callable[[Any], Any]

_TYPES: dict[str, Any] = {
    "time": int | float | str | None,
    "number": float | str | bool | None,
    "category": str | int | None,
    "any": Any,
}

_DEEPEST = 4
"""Dots below a member for which structs are made: each dot doubles the ways that lead to a value."""

_UNNAMEABLE = re.compile(r'["\\\x00-\x1f]')
"""What no member of a struct has in its name: msgspec raises ``ValueError``."""


class Layout:
    """Fast decoding of the records that are as expected; whatever isn't raises ``msgspec.MsgspecError``.

    ``decode`` reads one record, ``convert`` one that is a document already, ``getters`` get the values of a path from
    what it returns: None for nothing, a list where there are several. After ``only`` they are what ``values_of`` finds
    in the document. ``checked`` are the paths whose values have the type that their use asks for, ``numbers`` those
    that are to hold numbers; the values of others may be anything. ``blank`` is a record without any value.

    ``hidden`` finds records in which a field that a filter wants to exist may be there by members that no struct can
    list: with ``exists`` of ``a`` the record ``{"a.b": 1}``. Such records are to be read as a whole.

    ``whole`` is set when a filter looks at fields that can't be listed (patterns, nested objects): then nothing can
    be left out, and records are to be read as a whole, which costs about ten times as much.
    """

    def __init__(self, plans: Sequence[Plan]) -> None:
        self._uses: dict[str, set[str]] = {}
        self._exist: set[str] = set()
        self.whole = False
        for plan in plans:
            self._use(plan.time, "time")
            for path in plan.categories:
                self._use(path, "category")
            self._filter(plan.filter)
            for entry in plan.inputs:
                self._use(entry.path, "number" if entry.reads == "number" else "any")
                self._filter(entry.filter)
        self.whole |= any(map(_UNNAMEABLE.search, self._uses))
        kinds = {path: self._kind(uses) for path, uses in self._uses.items()}
        made = _Struct("Record", {} if self.whole else kinds)
        struct: Any = made.struct
        self.checked = frozenset(
            path
            for path, kind in kinds.items()
            if kind in ("time", "category") and "." not in path and path in made.typed
        )
        # A number may also come as a text.
        self.numbers = frozenset(path for path, kind in kinds.items() if kind == "number")
        self.getters = {path: _getter(path, made.ways) for path in kinds}
        self.hidden = _members_below(self._exist) if self._exist else None
        self.blank: Any = struct()
        self.convert: Callable[[Any], Any] = lambda document: msgspec.convert(document, struct)
        self.decode: Callable[[bytes], Any] = msgspec.json.Decoder(struct).decode
        self.decode_many: Callable[[bytes], list[Any]] = msgspec.json.Decoder(list[struct]).decode

    def _use(self, path: str, kind: str) -> None:
        if is_kafka_field(path):
            return
        self._uses.setdefault(path, set()).add(kind)
        if path.endswith(KEYWORD):
            self._use(path.removesuffix(KEYWORD), kind)

    def _filter(self, query: Query | None) -> None:
        if query is None:
            return
        for path in query.fields():
            self._use(path, "any")
        self._exist |= {
            clause.field for clause in query.walk() if isinstance(clause, Exists) and not is_kafka_field(clause.field)
        }
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

    @property
    def type(self) -> Any:
        """The type of its value; None for an object of which the paths below are all that is needed."""
        if self.leaf is not None:
            return Any if self.below else _TYPES[self.leaf]
        return Any if any(rest.count(".") > _DEEPEST for rest in self.below) else None


class _Struct:
    """A struct for paths and their kinds, with every way to each: nested objects, names with dots, and mixtures.

    ``ways`` are in the order in which ``values_of`` goes them; ``above`` leads from the record to the struct.
    ``typed`` are the members that have one of the ``_TYPES`` above and nothing below.
    """

    def __init__(self, name: str, kinds: Mapping[str, str], above: str = "") -> None:
        members: dict[str, _Member] = {}
        for path, kind in kinds.items():
            members.setdefault(path, _Member()).leaf = kind
            for head, rest in _cuts(path):
                # ``.keyword`` below a text is the text itself, which needs no object in its place.
                if rest != KEYWORD[1:]:
                    members.setdefault(head, _Member()).below[rest] = kind
        fields: list[tuple[str, Any, Any]] = []
        rename: dict[str, str] = {}
        literal: dict[str, Getter] = {}
        below: dict[tuple[str, str], list[Getter]] = {}
        self.typed: set[str] = set()
        for number, (member, uses) in enumerate(members.items()):
            attribute = f"f{number}"
            rename[attribute] = member
            if uses.type is None:
                inner = _Struct(f"{name}_{attribute}", uses.below, f"{above}{attribute}.")
                fields.append((attribute, inner.struct, inner.struct()))
                below.update({(member, rest): ways for rest, ways in inner.ways.items()})
                continue
            fields.append((attribute, uses.type, None))
            literal[member] = get = attrgetter(above + attribute)
            if uses.type is Any:
                below.update({(member, rest): [_inside(get, rest)] for rest in (*uses.below, KEYWORD[1:])})
            else:
                self.typed.add(member)
        self.struct: type = msgspec.defstruct(name, fields, rename=rename, frozen=True, gc=False)
        self.ways: dict[str, list[Getter]] = {
            path: [literal[path], *(way for cut in _cuts(path) for way in below.get(cut, ()))] for path in kinds
        }


def _members_below(paths: Iterable[str]) -> re.Pattern[bytes]:
    """Finds names of members that go on behind one of the paths, or behind what is left of it inside an object.

    A name with an escape may be any: it is found, too.
    """
    names = {name for path in paths for name in (path, *(rest for _, rest in _cuts(path)))}
    starts = b"|".join(re.escape(name.encode()) for name in sorted(names))
    return re.compile(rb'"(?:%s)\.|\\u[^"]*"\s*:' % starts)


def _cuts(path: str) -> Iterator[tuple[str, str]]:
    cut = path.find(".")
    while cut != -1:
        yield path[:cut], path[cut + 1 :]
        cut = path.find(".", cut + 1)


def _getter(path: str, ways: Mapping[str, Sequence[Getter]]) -> Getter:
    get = _combined(ways.get(path, ()))
    if path.endswith(KEYWORD):
        return _or_text(get, _combined(ways.get(path.removesuffix(KEYWORD), ())))
    return get


def _inside(getter: Getter, rest: str) -> Getter:
    return lambda record: one_or_list(list(values_at(getter(record), rest)))


def _combined(getters: Sequence[Getter]) -> Getter:
    if len(getters) == 1:
        return getters[0]

    def get(record: Any) -> Any:
        return one_or_list([value for each in getters if (value := each(record)) is not None])

    return get


def _or_text(keyword: Getter, text: Getter) -> Getter:
    def get(record: Any) -> Any:
        value = keyword(record)
        if value is None or (type(value) is list and only(value) is None):
            value = text(record)
            if isinstance(value, list | Mapping):
                return one_or_list([each for each in values_at({"": value}, "") if not isinstance(each, Mapping)])
        return value

    return get
