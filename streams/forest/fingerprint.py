"""Which sources the compiled kernel belongs to. Runs in setup.py too: the standard library only."""

from __future__ import annotations

import hashlib
from pathlib import Path

SOURCE = "_kernel.c"
HEADERS = ("_kernel.h", "_habits.h", "_learning.h")
REFERENCE = (
    "cells",
    "derive",
    "distance",
    "engine",
    "forecast",
    "habits",
    "lasting",
    "learning",
    "log2",
    "models",
    "reference",
    "scoring",
    "season",
    "sight",
)
"""The files whose numbers the compiled kernel repeats."""


def fingerprint(folder: Path) -> str:
    """A hash of the kernel's sources and of all that it repeats, as they lie in ``folder``."""
    digest = hashlib.blake2b(digest_size=16)
    for name in (SOURCE, *HEADERS, *(f"{name}.py" for name in REFERENCE)):
        digest.update((folder / name).read_bytes())
    return digest.hexdigest()
