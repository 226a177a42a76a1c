"""Documents in memory, found by id or through hash indexes on the fields that are asked for most."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import chain
from typing import Any, Generic, Protocol, TypeVar

from schemas.query.conditions import Condition, Every, IdOf, OneOf


class Hit(Protocol):
    """A document that can be found: ``seq_no`` orders documents that nothing else orders."""

    @property
    def id(self) -> str:
        """The document's id."""

    @property
    def version(self) -> int:
        """How often it was written."""

    @property
    def seq_no(self) -> int:
        """When it was last written."""

    @property
    def source(self) -> Mapping[str, Any]:
        """What was written."""


H = TypeVar("H", bound=Hit)


class Candidates(Generic[H]):
    """Some documents of a table, noted at once and looked up when they are read: in a thread, where they are many.

    One that is written again meanwhile is read as it is then, one that is deleted is left out.
    """

    def __init__(self, documents: Mapping[str, H], ids: list[str] | None) -> None:
        self._documents, self._ids = documents, ids
        self._all = [*documents.values()] if ids is None else []

    def __len__(self) -> int:
        return len(self._all if self._ids is None else self._ids)

    def read(self) -> list[H]:
        """The documents in the order in which they were last written."""
        if self._ids is None:
            return self._all
        found = [one for id in self._ids if (one := self._documents.get(id)) is not None]
        found.sort(key=lambda one: one.seq_no)
        return found


class DocumentTable(Generic[H]):
    """Documents by id, in the order in which they were last written.

    ``indexed`` names members of the documents (texts, booleans or numbers, no dotted paths) whose values lead
    to the documents without looking at the others.
    """

    def __init__(self, indexed: Iterable[str] = ()) -> None:
        self._documents: dict[str, H] = {}
        self._indexes: dict[str, dict[Any, set[str]]] = {name: {} for name in indexed}

    def __len__(self) -> int:
        return len(self._documents)

    def __iter__(self) -> Iterator[H]:
        return iter(self._documents.values())

    def get(self, id: str) -> H | None:
        """The document of this id."""
        return self._documents.get(id)

    def put(self, document: H) -> None:
        """Add a document, or replace the one of the same id."""
        before = self._documents.pop(document.id, None)
        self._documents[document.id] = document
        for name, index in self._indexes.items():
            new = document.source.get(name)
            if before is not None:
                old = before.source.get(name)
                if old == new:
                    continue
                self._drop(index, old, document.id)
            if new is not None:
                index.setdefault(new, set()).add(document.id)

    def delete(self, id: str) -> H | None:
        """Take a document out, and return it."""
        before = self._documents.pop(id, None)
        if before is not None:
            for name, index in self._indexes.items():
                self._drop(index, before.source.get(name), id)
        return before

    @staticmethod
    def _drop(index: dict[Any, set[str]], value: Any, id: str) -> None:
        ids = index.get(value)
        if ids is not None:
            ids.discard(id)
            if not ids:
                del index[value]

    def having(self, name: str, value: Any) -> Candidates[H]:
        """The documents with this value of an indexed member."""
        return Candidates(self._documents, [*self._indexes[name].get(value, ())])

    def everything(self) -> Candidates[H]:
        """All documents."""
        return Candidates(self._documents, None)

    def candidates(self, condition: Condition) -> Candidates[H]:
        """The documents that may make the condition true: all that do, and as few others as the indexes allow."""
        parts = condition.parts if isinstance(condition, Every) else (condition,)
        best: list[Collection[str]] | None = None
        fewest = len(self._documents)
        for part in parts:
            ids = self._ids(part)
            if ids is not None and (count := sum(map(len, ids))) < fewest:
                best, fewest = ids, count
        return Candidates(self._documents, None if best is None else [*chain.from_iterable(best)])

    def _ids(self, part: Condition) -> list[Collection[str]] | None:
        if isinstance(part, IdOf):
            return [part.ids]
        if isinstance(part, OneOf) and not part.folded and not part.field.scope:
            index = self._indexes.get(part.field.path)
            if index is not None:
                return [index[value] for value in part.values if value in index]
        return None
