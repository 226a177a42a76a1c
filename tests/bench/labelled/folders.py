"""Readers of labelled series that lie in folders.

A folder of sets holds SET/labels.json and SET/NAME.csv. The labels name each series with its ``interval_s``, its
``windows`` ([first, last] in epoch ms) and, where known, their ``kinds``; a CSV has ``timestamp`` (epoch ms) and
``value``.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np

from tests.bench.labelled.series import Event, Series, Times


def sets(root: Path) -> list[str]:
    """The names of the sets in a folder."""
    return sorted(path.parent.name for path in root.glob("*/labels.json"))


def read(root: Path, name: str, only: Collection[str] | None = None) -> list[Series]:
    """The series of one set, or those that ``only`` names."""
    labels = json.loads((root / name / "labels.json").read_text())
    return [
        _read(root / name / f"{series}.csv", series, label)
        for series, label in labels.items()
        if only is None or series in only
    ]


def _read(path: Path, name: str, label: dict[str, Any]) -> Series:
    table = np.genfromtxt(path, delimiter=",", skip_header=1)
    starts = table[:, 0].astype(np.int64)
    kinds = label.get("kinds") or [""] * len(label["windows"])
    events = tuple(
        _event(starts, first, last, kind) for (first, last), kind in zip(label["windows"], kinds, strict=True)
    )
    return Series(name, label["interval_s"], starts, table[:, 1], events)


def _event(starts: Times, first: int, last: int, kind: str) -> Event:
    begin = int(np.searchsorted(starts, first))
    return Event(begin, max(begin, int(np.searchsorted(starts, last, side="right")) - 1), kind)
