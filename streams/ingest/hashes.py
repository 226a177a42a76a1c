"""Values of any type as numbers that stand for them, for counting distinct ones."""

from __future__ import annotations

import math
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

from streams.formats.values import Unusable, shown, to_text

HASH_BITS = 52
"""As many as a double holds exactly: a million distinct values have about 0.0001 pairs that look the same."""

_REMEMBERED = 65_536
_LONGEST = 1_000
"""Characters: so many texts of any length would be more than fits into memory."""


class Hashes(dict[Any, float]):
    """A lookup that computes what it does not know, and forgets everything when it has grown too large.

    Values are the same when their texts are: 1, 1.0 and "1" are one value, as in a keyword field of OpenSearch. The
    same value has the same hash in every process. Raises ``Unusable`` for objects and arrays.

    >>> hashes = Hashes()
    >>> hashes[1] == hashes["1"] == hashes[1.0], hashes.of(True) == hashes["true"], hashes["a"] == hashes["b"]
    (True, True, False)
    """

    def of(self, value: Any) -> float:
        """The hash of any value; for texts, numbers and None a plain look-up is the same and quicker."""
        # True and 1 are the same key of a dict.
        if value is True or value is False:
            value = "true" if value else "false"
        if isinstance(value, list | Mapping):
            raise Unusable(f"a text or a number is expected, not {shown(value)}")
        return self[value]

    def __missing__(self, value: Any) -> float:
        if value is None:
            return math.nan
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        digest = blake2b(str(to_text(value)).encode(), digest_size=8).digest()
        number = float(int.from_bytes(digest, "little") >> (64 - HASH_BITS))
        if not isinstance(value, str) or len(value) <= _LONGEST:
            if len(self) >= _REMEMBERED:
                self.clear()
            self[value] = number
        return number
