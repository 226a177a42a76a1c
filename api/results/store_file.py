"""The file of the results store: choosing one in a folder, and handling files that cannot be opened."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import duckdb
import structlog

from schemas.errors import RiverwatchError

log = structlog.get_logger()

C = TypeVar("C")

_OTHERS = 16

_DAMAGE = (
    "not a valid DuckDB database file",
    "Corrupt database file",
    "Could not read enough bytes",
    "Failure while replaying WAL",
    "database file with version number",  # of another DuckDB
)


class StoreUnusable(RiverwatchError):
    """The results store cannot be used; the message says what to do."""


def is_damage(error: duckdb.Error) -> bool:
    """Whether an error on opening means that the file is damaged.

    Errors of the operating system (permissions, space, an unresponsive disk) don't, and neither do unknown errors.

    >>> is_damage(duckdb.IOException('Could not write file "results.duckdb.wal": No space left on device'))
    False
    >>> is_damage(duckdb.Error("Corrupt database file: computed checksum 1 does not match stored checksum 2"))
    True
    """
    text = str(error)
    if any(f": {os.strerror(code)}" in text for code in errno.errorcode):
        return False
    # A catalog with other tables is that of another release.
    kinds = (duckdb.SerializationException, duckdb.InternalException, duckdb.CatalogException, duckdb.BinderException)
    return isinstance(error, kinds) or any(sign in text for sign in _DAMAGE)


def open_first(folder: Path, connect: Callable[[Path], C]) -> tuple[Path, C]:
    """Open the first store of a folder that no other process has open.

    A damaged store is replaced by an empty one, which is filled again from the topic. Raises ``StoreUnusable``.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreUnusable(f"{folder} cannot be made: {error.strerror}. {_WHAT_TO_DO}") from error
    for number in range(1, _OTHERS + 1):
        path = folder / ("results.duckdb" if number == 1 else f"results-{number}.duckdb")
        try:
            return path, open_one(path, connect)
        except duckdb.IOException as error:
            if "could not set lock" not in str(error).lower():
                raise _unusable(path, error) from error
    raise StoreUnusable(f"all {_OTHERS} results stores in {folder} are open in other processes")


def open_one(path: Path, connect: Callable[[Path], C]) -> C:
    """Open a store; a damaged one is replaced by an empty one.

    Raises ``StoreUnusable``, and ``duckdb.IOException`` when another process has it open.
    """
    try:
        return connect(path)
    except duckdb.Error as error:
        # Not "lock" alone: messages about damage contain "block".
        if "could not set lock" in str(error).lower():
            raise  # another process has it open
        if not is_damage(error):
            raise _unusable(path, error) from error
        log.warning("the results store is damaged and begins empty", path=str(path), error=str(error)[:200])
    try:
        remove(path)
        return connect(path)
    except (OSError, duckdb.Error) as error:
        raise _unusable(path, error) from error


_WHAT_TO_DO = "Make it writable, with space on its disk, or set RIVERWATCH_DATA (--data) to another folder"


def _unusable(path: Path, error: Exception) -> StoreUnusable:
    message = str(error).splitlines()[0][:300]
    return StoreUnusable(
        f"the results store {path} cannot be opened: {message}. {_WHAT_TO_DO}; a deleted store is filled again from"
        " the topic"
    )


def remove(path: Path) -> None:
    """Remove a store's file and its write-ahead log."""
    for one in (path, Path(f"{path}.wal")):
        one.unlink(missing_ok=True)
