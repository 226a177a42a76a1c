"""The demo's counts: results, anomalies and the labelled windows that they hit. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from deploy.demo.series import Series
from schemas.result import Result


@dataclass
class Tally:
    """Counts over the results of one detector on ``series``.

    The results of one series arrive in the order of their windows; a repeated one counts once.
    """

    series: list[Series]
    results: int = 0
    anomalies: int = 0
    marked: int = 0
    _hit: set[tuple[str, int]] = field(default_factory=set)
    _latest: dict[str, int] = field(default_factory=dict)

    def add(self, result: Result) -> bool | None:
        """Count a result. For a new anomaly, returns whether it lies in a labelled window; else None."""
        name = result.entity[0].value if result.entity else ""
        if result.data_end_time <= self._latest.get(name, 0):
            return None
        self._latest[name] = result.data_end_time
        self.results += 1
        if not isinstance(result.anomaly_grade, float) or result.anomaly_grade <= 0:
            return None
        self.anomalies += 1
        for each in self.series:
            label = each.label_of(result.data_start_time, result.data_end_time) if each.name == name else None
            if label is not None:
                self.marked += 1
                self._hit.add((name, label))
                return True
        return False

    @property
    def labels(self) -> int:
        """How many labelled windows there are."""
        return sum(len(each.labels) for each in self.series)

    @property
    def labels_hit(self) -> int:
        """How many of them hold at least one anomaly."""
        return len(self._hit)

    def is_complete(self) -> bool:
        """Whether the window of the last value of every series has its result."""
        return all(self._latest.get(each.name, 0) > max(each.times) for each in self.series)


def windows(series: Iterable[Series], interval_ms: int) -> int:
    """How many windows hold at least one value, which is how many results to expect."""
    return sum(len({time // interval_ms for time in each.times}) for each in series)
