"""Topics that come and go: what the runs are to be told of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from schemas.command import Sources
from schemas.detector import Detector
from streams.coordinate.state import CoordinatorState
from streams.kafka.extent import is_another


class TopicWatch:
    """Compares the topics that there are with those that the runs read.

    A topic counts as gone when it was missing at two looks in a row: the metadata of a broker that has just started
    may lack one for a moment.
    """

    def __init__(self) -> None:
        self._missing: set[tuple[str, str]] = set()
        self._names: frozenset[str] = frozenset()
        self._read: dict[tuple[str, ...], list[str]] = {}

    def read(self, state: CoordinatorState, there: Mapping[str, Sequence[int]]) -> frozenset[str]:
        """Which of these topics any run reads."""
        if there.keys() != self._names:
            # Matching a thousand detectors with a thousand topics takes a second: once for all detectors that name the
            # same ones, and only when a topic has come or gone.
            self._names, self._read = frozenset(there), {}
        running = (state.detector(job.id) for job in state.jobs.values() if job.run is not None)
        return frozenset(topic for each in running if each is not None for topic in self._topics(each))

    def look(
        self, state: CoordinatorState, there: Mapping[str, Sequence[int]], ids: Mapping[str, str]
    ) -> list[Sources]:
        """The events to publish, given the partitions of every topic, and the ids of those that ``read`` named."""
        self.read(state, there)
        missing: set[tuple[str, str]] = set()
        events: list[Sources] = []
        for job in state.jobs.values():
            detector = state.detector(job.id)
            if job.run is None or detector is None:
                continue
            change: dict[str, dict[int, int]] = {}
            for topic in self._topics(detector):
                anew = is_another(job.run.topic_ids.get(topic, ""), ids.get(topic, ""))
                known = {} if anew else job.run.sources.get(topic, {})
                if new := set(there[topic]) - known.keys():
                    change[topic] = dict.fromkeys(sorted(new), 0)
            for topic in job.run.sources.keys() - there.keys():
                missing.add((job.id, topic))
                if (job.id, topic) in self._missing:
                    change[topic] = {}
            if change:
                changed = {topic: ids[topic] for topic in change if topic in ids}
                events.append(Sources(detector_id=job.id, run=job.run.id, sources=change, topic_ids=changed))
        self._missing = missing
        return events

    def _topics(self, detector: Detector) -> list[str]:
        if detector.indices not in self._read:
            self._read[detector.indices] = [name for name in self._names if detector.reads(name)]
        return self._read[detector.indices]
