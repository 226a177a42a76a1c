"""The struct that a topic's records are decoded into: generated from the fields that its plans name, no others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any

import msgspec

from streams.plan import Plan

_TYPES: dict[str, Any] = {
    "time": int | float | str | None,
    "number": float | None,
    "category": str | int | None,
    "any": Any,
}


class Layout:
    """Fast decoding of the records that are as expected; whatever isn't raises ``msgspec.MsgspecError``.

    ``decode`` reads one record, ``getters`` gets the value of a path from what it returns (None for missing).
    """

    def __init__(self, plans: Sequence[Plan]) -> None:
        self._uses: dict[str, set[str]] = {}
        for plan in plans:
            self._use(plan.time, "time")
            for path in plan.categories:
                self._use(path, "category")
            for entry in plan.inputs:
                self._use(entry.path, "any" if entry.presence else "number")
                for path in entry.filter.fields() if entry.filter is not None else ():
                    self._use(path, "any")
            for path in plan.filter.fields() if plan.filter is not None else ():
                self._use(path, "any")
        self.kinds = {path: self._kind(uses) for path, uses in self._uses.items()}
        self.getters: dict[str, Callable[[Any], Any]] = {}
        struct = self._struct("Record", {path: tuple(path.split(".")) for path in self.kinds}, ())
        self.decode: Callable[[bytes], Any] = msgspec.json.Decoder(struct).decode
        self.decode_many = msgspec.json.Decoder(list[struct]).decode  # type: ignore[valid-type]

    def _use(self, path: str, kind: str) -> None:
        self._uses.setdefault(path, set()).add(kind)

    @staticmethod
    def _kind(uses: set[str]) -> str:
        # What only a filter or a count looks at does not matter to the type; two meanings leave it open.
        meanings = uses - {"any"}
        return meanings.pop() if len(meanings) == 1 else "any"

    def _struct(self, name: str, paths: dict[str, tuple[str, ...]], above: tuple[str, ...]) -> type:
        fields: list[tuple[str, Any, Any]] = []
        rename: dict[str, str] = {}
        below: dict[str, dict[str, tuple[str, ...]]] = {}
        for path, parts in paths.items():
            if len(parts) == 1:
                attribute = f"f{len(fields)}"
                fields.append((attribute, _TYPES[self.kinds[path]], None))
                rename[attribute] = parts[0]
                self.getters[path] = attrgetter(".".join((*above, attribute)))
            else:
                below.setdefault(parts[0], {})[path] = parts[1:]
        for member, inner in below.items():
            attribute = f"f{len(fields)}"
            nested = self._struct(f"{name}_{attribute}", inner, (*above, attribute))
            fields.append((attribute, nested, nested()))
            rename[attribute] = member
        if not above:
            self._dotted(fields, rename, paths)
        return msgspec.defstruct(name, fields, rename=rename, frozen=True, gc=False)

    def _dotted(self, fields: list[tuple[str, Any, Any]], rename: dict[str, str], paths: dict[str, Any]) -> None:
        """Members with dots in their names mean the same as nested ones."""
        for path in [path for path in paths if "." in path]:
            attribute = f"f{len(fields)}"
            fields.append((attribute, _TYPES[self.kinds[path]], None))
            rename[attribute] = path
            self.getters[path] = _either(self.getters[path], attrgetter(attribute))


def _either(first: Callable[[Any], Any], second: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def get(record: Any) -> Any:
        value = first(record)
        return second(record) if value is None else value

    return get
