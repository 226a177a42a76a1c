"""Checks passwords. Hashing is slow on purpose, so checks have a queue, in which each client has few places.

A wrong password takes equally long for every name: timing reveals neither which names exist nor the cost of a hash.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from argon2 import PasswordHasher, extract_parameters
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.low_level import hash_secret

from api.security.turns import Turns
from schemas.errors import Refused

REMEMBERED_SECONDS = 60.0
"""How long a correct password is not hashed again: a hash takes tens of milliseconds."""

REMEMBERED = 1000


@dataclass(eq=False)
class _Check:
    """A check that is queued or running, and how many requests wait for it."""

    name: str
    password: str
    outcome: asyncio.Future[bool]
    waited_for: int = field(default=0)


class Passwords:
    """Checks passwords against ``hashes`` (argon2), by name. Not thread-safe: for the event loop only.

    ``most`` is how many different credentials of one client may be queued; the same ones are not queued twice.
    """

    def __init__(self, hashes: Mapping[str, str], most: int) -> None:
        self._hashes = dict(hashes)
        self._decoys = {_cost(hashed): hashed for hashed in map(_decoy, self._one_of_each_cost())}
        self._hasher = PasswordHasher()
        # One at a time: guessing passwords takes one core, not all.
        self._thread = ThreadPoolExecutor(1, "passwords")
        self._turns: Turns[_Check] = Turns(most)
        self._checks: dict[bytes, _Check] = {}
        self._working: asyncio.Task[None] | None = None
        self._remembered: dict[bytes, float] = {}
        self._salt = secrets.token_bytes(64)

    async def right(self, name: str, password: str, client: str) -> bool:
        """Whether this is the password of that name.

        One that was correct recently does not wait. Raises ``Refused`` (429) when ``client`` has too many queued.
        """
        seen = hashlib.blake2b(f"{name}:{password}".encode(), key=self._salt).digest()
        if self._remembered.get(seen, 0.0) > time.monotonic():
            return True
        check = self._checks.get(seen)
        if check is None:
            check = _Check(name, password, asyncio.get_running_loop().create_future())
            if not self._turns.add(client, check):
                raise Refused(
                    429, "too many passwords from this address are being checked", "rejected_execution_exception"
                )
            self._checks[seen] = check
            check.outcome.add_done_callback(lambda _: self._checks.pop(seen, None))
            if self._working is None or self._working.done():
                self._working = asyncio.create_task(self._work())
        check.waited_for += 1
        try:
            right = await asyncio.shield(check.outcome)
        finally:
            check.waited_for -= 1
        if right:
            if len(self._remembered) >= REMEMBERED:
                self._remembered.clear()
            self._remembered[seen] = time.monotonic() + REMEMBERED_SECONDS
        return right

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        while (check := self._turns.next()) is not None:
            if not check.waited_for:
                check.outcome.cancel()
                continue
            try:
                right = await loop.run_in_executor(self._thread, self._matches, check.name, check.password)
            except Exception as error:  # the requests that wait get it, and the other checks go on
                check.outcome.set_exception(error)
            else:
                check.outcome.set_result(right)

    def _matches(self, name: str, password: str) -> bool:
        own, *others = self.hashes_tried(name)
        if self._verify(own, password) and name in self._hashes:
            return True
        for hashed in others:
            self._verify(hashed, password)
        return False

    def hashes_tried(self, name: str) -> list[str]:
        """The hashes that a wrong password is compared with: one of each cost, for every name."""
        own = self._hashes.get(name)
        if own is None:
            return list(self._decoys.values())
        return [own, *(decoy for cost, decoy in self._decoys.items() if cost != _cost(own))]

    def _one_of_each_cost(self) -> list[str]:
        known = self._hashes.values() or [PasswordHasher().hash("nobody")]
        return list({_cost(hashed): hashed for hashed in known}.values())

    def _verify(self, hashed: str, password: str) -> bool:
        try:
            return self._hasher.verify(hashed, password)
        except (VerificationError, InvalidHashError):
            return False


Cost = tuple[object, ...]


def _cost(hashed: str) -> Cost:
    parameters = extract_parameters(hashed)
    return tuple(getattr(parameters, name) for name in parameters.__slots__)


def _decoy(hashed: str) -> str:
    """A hash of a random secret, as costly as the given one."""
    like = extract_parameters(hashed)
    secret, salt = secrets.token_bytes(16), secrets.token_bytes(like.salt_len)
    costs = (like.time_cost, like.memory_cost, like.parallelism, like.hash_len)
    return hash_secret(secret, salt, *costs, like.type, like.version).decode()
