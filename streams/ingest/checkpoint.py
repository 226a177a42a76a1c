"""The checkpoint of a source as records of a limited size, and back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

import msgspec

from schemas.checkpoint import OpenWindow, RunCheckpoint, SourceCheckpoint
from streams.features.columns import Column
from streams.features.pieces import cut, joined, size


def grouped(runs: Iterable[tuple[RunCheckpoint, Sequence[Column]]], max_bytes: int) -> list[list[RunCheckpoint]]:
    """The runs of a source, each with its columns, in groups that make records of about ``max_bytes``; never none."""
    pieces = [piece for run, columns in runs for piece in _pieces(run, columns, max_bytes)]
    return list(_groups(pieces, max_bytes)) or [[]]


def assemble(parts: Iterable[SourceCheckpoint]) -> list[RunCheckpoint] | None:
    """The runs of a checkpoint from its parts in any order; None while parts are missing or of different age."""
    ordered = sorted(parts, key=lambda part: part.part)
    if not ordered or [part.part for part in ordered] != list(range(ordered[0].parts)):
        return None
    if len({(part.epoch, part.number, part.offset, part.parts) for part in ordered}) != 1:
        return None
    runs: dict[tuple[str, int], RunCheckpoint] = {}
    for part in ordered:
        for run in part.runs:
            known = runs.get((run.owner, run.run))
            runs[run.owner, run.run] = run if known is None else _with_windows(known, [*known.windows, *run.windows])
    return [_with_windows(run, list(_joined(run.windows))) for run in runs.values()]


def _joined(windows: Iterable[OpenWindow]) -> Iterator[OpenWindow]:
    for end, same in groupby(windows, key=lambda window: window.end):
        yield OpenWindow(end, *joined([(piece.entities, piece.columns) for piece in same]))


def _pieces(run: RunCheckpoint, columns: Sequence[Column], max_bytes: int) -> Iterator[RunCheckpoint]:
    windows: list[OpenWindow] = []
    size = 0
    for window in (piece for whole in run.windows for piece in _cut(whole, columns, max_bytes)):
        if windows and size + _size(window) > max_bytes:
            yield _with_windows(run, windows)
            windows, size = [], 0
        windows.append(window)
        size += _size(window)
    yield _with_windows(run, windows)


def _cut(window: OpenWindow, columns: Sequence[Column], max_bytes: int) -> Iterator[OpenWindow]:
    for rows in cut(window.entities, window.columns, columns, max_bytes):
        yield OpenWindow(window.end, *rows)


def _groups(pieces: list[RunCheckpoint], max_bytes: int) -> Iterator[list[RunCheckpoint]]:
    group: list[RunCheckpoint] = []
    size = 0
    for piece in pieces:
        weight = 100 + sum(_size(window) for window in piece.windows)
        if group and size + weight > max_bytes:
            yield group
            group, size = [], 0
        group.append(piece)
        size += weight
    if group:
        yield group


def _size(window: OpenWindow) -> int:
    return size(window.entities, window.columns)


def _with_windows(run: RunCheckpoint, windows: list[OpenWindow]) -> RunCheckpoint:
    return msgspec.structs.replace(run, windows=windows)
