"""When Kafka did not answer: time in which a source was not quiet, and after which producers have much to catch up."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from streams.kafka.tp import TP

OUTAGE_SECONDS = 3.0
"""An answer that takes longer is an outage. Fetches are answered within a quarter of a second, by a busy broker too."""


@dataclass(frozen=True)
class Outage:
    """Kafka did not answer between these monotonic times. A process that was paused has seen the same."""

    began: float
    ended: float


def outage_between(asked: float, answered: float) -> Outage | None:
    """What a wait for an answer says.

    >>> outage_between(10.0, 12.0), outage_between(10.0, 20.0)
    (None, Outage(began=10.0, ended=20.0))
    """
    return Outage(asked, answered) if answered - asked > OUTAGE_SECONDS else None


class Outages:
    """For each partition the latest time for which a fetch remained without an answer.

    >>> outages, tp = Outages(), TP("metrics", 0)
    >>> outages.asked([tp], 10.0)
    >>> outages.asked([tp], 20.0)  # the first one failed
    >>> outages.answered(tp, 30.0)
    >>> outages.latest[tp]
    Outage(began=10.0, ended=30.0)
    """

    def __init__(self) -> None:
        self._asked: dict[TP, float] = {}
        self.latest: dict[TP, Outage] = {}

    def asked(self, tps: Iterable[TP], at: float) -> None:
        """A fetch of these partitions begins."""
        for tp in tps:
            self._asked.setdefault(tp, at)

    def answered(self, tp: TP, at: float) -> None:
        """Kafka has answered."""
        if (outage := outage_between(self._asked.pop(tp, at), at)) is not None:
            self.latest[tp] = outage

    def withdrawn(self, tps: Iterable[TP], at: float) -> None:
        """The fetch is not waited for any more, since partitions are being assigned anew.

        What has been waited for as long as an outage still is one: the assignment may come of it.
        """
        for tp in tps:
            if at - self._asked.get(tp, at) <= OUTAGE_SECONDS:
                self._asked.pop(tp, None)
