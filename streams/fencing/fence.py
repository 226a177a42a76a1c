"""Who may write a share of the stored state: readers refuse what a former owner writes after its successor came.

A *share* is what one worker owns: a source partition or a scan (topic ``windows``), a model partition (topic
``checkpoints``). Nothing stops a worker that was paused from writing when it wakes up, so the records tell who wrote
them. Taking over begins with a *claim*, a record of its own; its offset is the owner's *epoch*, which is part of the
key of everything that the owner writes. A claim carries the generation of the consumer group in which the share was
assigned: one of an older generation that arrives late counts no more. A record counts if its epoch is that of the last
claim before it that counts, and of the records of one name the last such one wins.

The epoch must be in the key: these topics are compacted, and a stale record under the same key would erase the good
one. A stale record does erase what its own writer had written before under that key, unless it is rewritten in time:
Kafka compacts nothing that is younger than ``min.compaction.lag.ms`` (an hour), and until then the successor has
written everything anew that the former owner had not stored before it was paused. What a new owner finds in such
danger it rewrites at once (``Fold.cleanup``).

>>> log = Fold("s")
>>> for offset, (key, value) in enumerate(
...     [
...         (claim_key("s", "first"), claim_value(1, "w1")),
...         (record_key(0, "s", "a"), b"good"),
...         (claim_key("s", "second"), claim_value(2, "w2")),
...         (record_key(0, "s", "a"), b"stale"),
...         (claim_key("s", "late"), claim_value(1, "w1")),
...     ]
... ):
...     _ = log.add(offset, key, value)
>>> log.epoch, log.held["a"]
(2, Held(epoch=0, value=b'good'))
>>> log.cleanup(5)
[('5|s|a', b'good'), ('0|s|a', None), ('claim|s|first', None), ('claim|s|second', None), ('claim|s|late', None)]
"""

from __future__ import annotations

from typing import NamedTuple

CLAIM = "claim"
SEPARATOR = "|"
NO_EPOCH = -1
NO_GENERATION = -1

Record = tuple[str, bytes | None]
"""Key and value of a record to write; without a value, a tombstone."""


class Held(NamedTuple):
    """What counts under a name: the epoch of its writer, and the value; None for one that was deleted."""

    epoch: int
    value: bytes | None


class Key(NamedTuple):
    """The parsed key of a record. A claim has no epoch (``NO_EPOCH``), and its token for a name."""

    epoch: int
    share: str
    name: str


def claim_key(share: str, token: str) -> str:
    """The key of a claim. ``token`` must be unique among all claims, ``share`` has no ``|`` in it."""
    return SEPARATOR.join((CLAIM, share, token))


def claim_value(generation: int, owner: str) -> bytes:
    """The value of a claim: the generation of the group in which the share was assigned, and who claims it."""
    return f"{generation} {owner}".encode()


def _generation(claim: bytes) -> int:
    number = claim.split(b" ", 1)[0]
    return int(number) if number.isdigit() and len(number) < 20 else NO_GENERATION


def record_key(epoch: int, share: str, name: str) -> str:
    """The key under which the owner with this epoch writes ``name``.

    >>> record_key(7, "metrics/0", "slot|1")
    '7|metrics/0|slot|1'
    """
    return f"{epoch}{SEPARATOR}{share}{SEPARATOR}{name}"


def parse_key(key: str) -> Key | None:
    """The parts of a key; None for one that nobody writes.

    >>> parse_key("7|metrics/0|slot|1")
    Key(epoch=7, share='metrics/0', name='slot|1')
    >>> parse_key("claim|metrics/0|abc")
    Key(epoch=-1, share='metrics/0', name='abc')
    """
    parts = key.split(SEPARATOR, 2)
    if len(parts) != 3:
        return None
    first, share, name = parts
    if first == CLAIM:
        return Key(NO_EPOCH, share, name)
    # No offset has more digits, and Python refuses to convert thousands of them.
    return Key(int(first), share, name) if first.isdecimal() and first.isascii() and len(first) < 20 else None


def written(epoch: int, share: str, name: str, value: bytes, before: int | None) -> list[Record]:
    """The records, in this order, that write ``name``; ``before`` is the epoch of its current record, if it has one.

    >>> written(7, "s", "a", b"v", 3)
    [('7|s|a', b'v'), ('3|s|a', None)]
    """
    records: list[Record] = [(record_key(epoch, share, name), value)]
    if before is not None and before != epoch:
        records.append((record_key(before, share, name), None))
    return records


def deleted(epoch: int, share: str, name: str, before: int | None) -> list[Record]:
    """The records, in this order, that delete ``name``.

    Its older record goes first: the other way round compaction could forget that ``name`` was deleted while the older
    record is still there.

    >>> deleted(7, "s", "a", 3)
    [('3|s|a', None), ('7|s|a', None)]
    """
    records: list[Record] = [(record_key(epoch, share, name), None)]
    if before is not None and before != epoch:
        records.insert(0, (record_key(before, share, name), None))
    return records


class Fold:
    """One share, folded from the records of its topic partition in the order of their offsets.

    ``epoch`` is that of the claim that counts, ``generation`` the one that it carries, ``held`` what counts, by name.
    """

    def __init__(self, share: str) -> None:
        self.share = share
        self.epoch = NO_EPOCH
        self.generation = NO_GENERATION
        self.held: dict[str, Held] = {}
        self._claims: dict[str, int] = {}
        # Keys that still have a value although another one counts, or none.
        self._leftovers: set[tuple[int, str]] = set()
        # Names whose record that counts has a refused one after it, under the same key.
        self._endangered: set[str] = set()

    def add(self, offset: int, key: str, value: bytes | None) -> bool:
        """Take in one record; whether it is of this share."""
        parsed = parse_key(key)
        if parsed is None or parsed.share != self.share:
            return False
        if parsed.epoch == NO_EPOCH:
            self._claim(offset, key, value)
        elif self.epoch not in (NO_EPOCH, parsed.epoch):
            self._refuse(parsed.epoch, parsed.name, value)
        else:
            self._accept(parsed.epoch, parsed.name, value)
        return True

    def _claim(self, offset: int, key: str, value: bytes | None) -> None:
        if value is None:
            self._claims.pop(key, None)
        else:
            self._claims[key] = offset
            if (generation := _generation(value)) >= self.generation:
                self.epoch, self.generation = offset, generation

    def _refuse(self, epoch: int, name: str, value: bytes | None) -> None:
        held = self.held.get(name)
        if held is not None and held.epoch == epoch:
            self._endangered.add(name)
        self._leave((epoch, name), value)

    def _accept(self, epoch: int, name: str, value: bytes | None) -> None:
        held = self.held.get(name)
        if held is not None and held.epoch > epoch:
            self._leave((epoch, name), value)
            return
        if held is not None and held.epoch < epoch:
            self._endangered.discard(name)
            if held.value is not None:
                self._leftovers.add((held.epoch, name))
        self._leftovers.discard((epoch, name))
        self.held[name] = Held(epoch, value)

    def _leave(self, key: tuple[int, str], value: bytes | None) -> None:
        if value is None:
            self._leftovers.discard(key)
        else:
            self._leftovers.add(key)

    def cleanup(self, epoch: int) -> list[Record]:
        """What the owner with this epoch has to write, in this order, before it writes anything else.

        Afterwards ``held`` is what it will be with these records.
        """
        records: list[Record] = []
        for name in sorted(self._endangered):
            before, value = self.held[name]
            self.held[name] = Held(epoch, value)
            self._leftovers.discard((before, name))
            add = deleted(epoch, self.share, name, before)
            records += add if value is None else written(epoch, self.share, name, value, before)
        records += [(record_key(*self._at(key)), None) for key in sorted(self._leftovers)]
        # Last: as long as a refused record is there, the claim that refuses it must be.
        older = sorted((offset, key) for key, offset in self._claims.items() if offset < epoch)
        records += [(key, None) for _, key in older]
        self._endangered.clear()
        self._leftovers.clear()
        for _, key in older:
            del self._claims[key]
        return records

    def _at(self, key: tuple[int, str]) -> tuple[int, str, str]:
        return key[0], self.share, key[1]
