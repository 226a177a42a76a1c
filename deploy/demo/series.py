"""The demo's data: real metrics of the Numenta Anomaly Benchmark, with the windows labelled as anomalous."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

FOLDER = Path(__file__).with_name("data")
INTERVAL_MS = 300_000
"""All series have one value every five minutes."""


@dataclass(frozen=True)
class Series:
    """One metric. Times are epoch ms; ``labels`` are the labelled windows, ends included."""

    name: str
    times: list[int]
    values: list[float]
    labels: list[tuple[int, int]]

    def ending_at(self, last: int) -> Series:
        """The same series moved in time so that its latest value is at ``last``.

        >>> Series("s", [0, 300_000], [1.0, 2.0], [(0, 0)]).ending_at(900_000).times
        [600000, 900000]
        """
        shift = last - max(self.times)
        return replace(
            self,
            times=[time + shift for time in self.times],
            labels=[(start + shift, end + shift) for start, end in self.labels],
        )

    def paced(self, first: int, step: int) -> Series:
        """The same values from ``first`` on, one every ``step`` ms, with the labels on the same values.

        >>> Series("s", [0, 300_000, 600_000], [1.0, 9.0, 2.0], [(250_000, 350_000)]).paced(5000, 1000).labels
        [(6000, 6000)]
        """
        numbers = [
            [number for number, time in enumerate(self.times) if start <= time <= end] for start, end in self.labels
        ]
        return replace(
            self,
            times=[first + number * step for number in range(len(self.times))],
            labels=[(first + each[0] * step, first + each[-1] * step) for each in numbers],
        )

    def label_of(self, start: int, end: int) -> int | None:
        """The number of the labelled window that ``[start, end)`` overlaps, or None."""
        for number, (first, last) in enumerate(self.labels):
            if start <= last and first < end:
                return number
        return None


def load() -> list[Series]:
    """All series, by name."""
    labels = json.loads((FOLDER / "labels.json").read_text())
    return [_read(FOLDER / f"{name}.csv", labels[name]) for name in sorted(labels)]


def in_time_order(series: list[Series]) -> Iterator[tuple[int, str, float]]:
    """Time, name and value of every row of all series, oldest first."""
    rows = [(time, each.name, value) for each in series for time, value in zip(each.times, each.values, strict=True)]
    return iter(sorted(rows))


def _read(file: Path, labels: list[list[str]]) -> Series:
    with file.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    return Series(
        file.stem,
        [_epoch_ms(row["timestamp"]) for row in rows],
        [float(row["value"]) for row in rows],
        [(_epoch_ms(start), _epoch_ms(end)) for start, end in labels],
    )


def _epoch_ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)
