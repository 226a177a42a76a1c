"""A share of a compacted topic: what its owner writes there, and under which epoch."""

from __future__ import annotations

from dataclasses import dataclass

from streams.fencing.fence import Held, Record, deleted, written


@dataclass
class Share:
    """A share that is ours under ``epoch``, by the record with the key ``claim``.

    ``held`` is what it had by name when it was taken over; of what has been written since, only the names are kept.

    >>> share = Share("m/0", "claim|m/0|x", 7, {"a": Held(3, b"before")})
    >>> share.write("a", b"now"), share.write("a", b"later"), share.delete("a"), share.delete("a")
    ([('7|m/0|a', b'now'), ('3|m/0|a', None)], [('7|m/0|a', b'later')], [('7|m/0|a', None)], [])
    """

    name: str
    claim: str
    epoch: int
    held: dict[str, Held]

    def write(self, name: str, value: bytes) -> list[Record]:
        """The records, in this order, that write a value."""
        before = self.held.get(name)
        self.held[name] = Held(self.epoch, b"")
        return written(self.epoch, self.name, name, value, None if before is None else before.epoch)

    def forget_values(self) -> None:
        """What was held has been restored: it may be large."""
        self.held = {name: Held(epoch, value and b"") for name, (epoch, value) in self.held.items()}

    def delete(self, name: str) -> list[Record]:
        """The records, in this order, that delete a value; none where there is none."""
        before = self.held.pop(name, None)
        if before is None or before.value is None:
            return []
        return deleted(self.epoch, self.name, name, before.epoch)
