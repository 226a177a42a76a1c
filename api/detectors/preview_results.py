"""The results of a preview while they arrive: bounded, however many there are."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from schemas.result import Result

ROOM = 20_000
"""Results kept, about 2 KB each. Beyond that the smallest entities are dropped: only the largest are shown."""


@dataclass
class _Entity:
    count: int = 0
    kept: list[Result] = field(default_factory=list)
    last: Result | None = None


class PreviewResults:
    """The results of one preview: at most the first ``most`` of each entity.

    An entity's results arrive in the order of their windows; one that is not newer than its predecessor is a duplicate.
    Windows without data are left out, as in OpenSearch. ``entities`` is how many entities are shown.
    """

    def __init__(self, entities: int, most: int) -> None:
        self._shown, self._most = entities, most
        self._room = max(ROOM, 4 * entities * most)
        self._entities: dict[bytes, _Entity] = {}
        self._kept = 0
        self._cut = False

    def take(self, result: Result) -> None:
        """Add a result."""
        if result.error is not None:
            return
        key = msgspec.json.encode(result.entity)
        entity = self._entities.get(key)
        if entity is None:
            if self._cut:
                return
            entity = self._entities[key] = _Entity()
        if entity.last is not None and result.data_end_time <= entity.last.data_end_time:
            return
        entity.count += 1
        entity.last = result
        if len(entity.kept) < self._most:
            entity.kept.append(result)
            self._kept += 1
            if self._kept > self._room:
                self._cut_smallest()

    def _cut_smallest(self) -> None:
        """Keep the largest entities that fill half of the room, and take no others from now on."""
        largest, self._entities, self._kept, self._cut = self._largest(), {}, 0, True
        for key, entity in largest:
            if self._kept + len(entity.kept) > self._room // 2 and len(self._entities) >= self._shown:
                break
            self._entities[key] = entity
            self._kept += len(entity.kept)

    def _largest(self) -> list[tuple[bytes, _Entity]]:
        return sorted(self._entities.items(), key=lambda item: -item[1].count)

    def __len__(self) -> int:
        """How many results are kept."""
        return self._kept

    def shown(self) -> list[Result]:
        """The results of the largest entities, sorted by time, at most ``most``."""
        kept = [result for _, entity in self._largest()[: self._shown] for result in entity.kept]
        return sorted(kept, key=lambda each: each.data_start_time)[: self._most]

    def last(self) -> tuple[int, Result | None]:
        """How many results the largest entity had, and the last of them."""
        for _, entity in self._largest():
            return entity.count, entity.last
        return 0, None
