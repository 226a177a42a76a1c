"""Where the models are kept that have not been used for long: a file of this process, by entity.

The file is lost with the process, and need not survive it: what lies here is in the checkpoints, too, from which the
next process reads it back. Kafka can't be asked for single keys, a file can.
"""

from __future__ import annotations

import sqlite3
import weakref
from collections.abc import Iterable, Iterator, Sequence

from schemas.checkpoint import ModelCheckpoint, decode_model, encode

AT_ONCE = 500
"""Entities in one query: SQLite takes 999 parameters everywhere."""


class Spill:
    """Snapshots of models by entity. ``in`` and ``len`` need no look into the file.

    >>> spill = Spill()
    >>> spill.put([ModelCheckpoint(owner="d", entity="a", definition="", run=1, last_end=2, used_at=4, state=b"s")])
    >>> "a" in spill, [snapshot.state for snapshot in spill.take(["a"])], "a" in spill
    (True, [b's'], False)
    """

    def __init__(self) -> None:
        self._entities: set[str] = set()
        # Without a name it is a temporary file that nobody else sees and that goes with the connection.
        self._file = sqlite3.connect("", isolation_level=None)
        weakref.finalize(self, self._file.close)
        self._file.execute("PRAGMA journal_mode = OFF")
        self._file.execute("CREATE TABLE models (entity TEXT PRIMARY KEY, last_end INTEGER, snapshot BLOB)")

    def __contains__(self, entity: str) -> bool:
        return entity in self._entities

    def __len__(self) -> int:
        return len(self._entities)

    def __iter__(self) -> Iterator[str]:
        return iter(self._entities)

    def put(self, snapshots: Iterable[ModelCheckpoint]) -> None:
        """Keep models here."""
        rows = [(snapshot.entity, snapshot.last_end, encode(snapshot)) for snapshot in snapshots]
        self._file.execute("BEGIN")
        self._file.executemany("INSERT OR REPLACE INTO models VALUES (?, ?, ?)", rows)
        self._file.execute("COMMIT")
        self._entities.update(entity for entity, _, _ in rows)

    def take(self, entities: Sequence[str]) -> list[ModelCheckpoint]:
        """Take models away, in any order. All of the entities must be here."""
        taken: list[ModelCheckpoint] = []
        for start in range(0, len(entities), AT_ONCE):
            part = entities[start : start + AT_ONCE]
            places = ", ".join("?" * len(part))
            found = self._file.execute(f"SELECT snapshot FROM models WHERE entity IN ({places})", part)
            taken += [decode_model(snapshot) for (snapshot,) in found.fetchall()]
            self._file.execute(f"DELETE FROM models WHERE entity IN ({places})", part)
        self._entities.difference_update(entities)
        return taken

    def expire(self, limit: int) -> list[str]:
        """Delete the models whose last window ended before ``limit`` (epoch ms); their entities."""
        gone = [entity for (entity,) in self._file.execute("SELECT entity FROM models WHERE last_end < ?", (limit,))]
        self._file.execute("DELETE FROM models WHERE last_end < ?", (limit,))
        self._entities.difference_update(gone)
        return gone
