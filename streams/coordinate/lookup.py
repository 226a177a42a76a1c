"""What must be looked up in Kafka before an event can be decided: from where to where its topics are to be read."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import NamedTuple, Protocol

from schemas.command import Event, HistoryStart, JobStart
from streams.coordinate.jobs import cold_start
from streams.coordinate.state import CoordinatorState
from streams.coordinate.step import Context, CoordinatorLimits, Ranges


class Question(NamedTuple):
    """For each partition of the topics that ``reads`` accepts: the offset of the first record that was written at
    ``since_ms`` (epoch ms; None: of all) or later, and the end offset."""

    reads: Callable[[str], bool]
    since_ms: int | None


class Found(NamedTuple):
    """The answer: by topic and partition the two offsets, and the ids of the topics whose offsets these are."""

    ranges: Ranges
    topic_ids: dict[str, str]


class Topics(Protocol):
    """Kafka's topics, asked anew at every call. All methods block, and raise ``KafkaException`` when Kafka is away."""

    def partitions(self) -> dict[str, list[int]]:
        """Every topic that detectors may read: neither Riverwatch's own nor Kafka's internal ones."""
        ...

    def ids(self, topics: Collection[str]) -> dict[str, str]:
        """The ids of these topics: one that was deleted and made anew has another id."""
        ...

    def answer(self, question: Question) -> Found:
        """From where to where the topics of the question are to be read.

        By the records' timestamps: where they are not in order, the first one that is late enough counts. A
        partition without any is read from its end, which is nothing.
        """
        ...

    def end_of_control(self) -> int:
        """The end offset of the control topic."""
        ...


def question_of(event: Event, state: CoordinatorState, limits: CoordinatorLimits, now_ms: int) -> Question | None:
    """What must be known to decide about this event. None for most."""
    detector = state.detector(event.detector_id)
    if detector is None or not isinstance(event, JobStart | HistoryStart):
        return None
    if isinstance(event, HistoryStart):
        # A record may be written before its event time, but no more than live records may be ahead.
        return Question(detector.reads, event.start_time - limits.max_ahead_ms - detector.window_interval_ms)
    if event.from_ == "earliest":
        return Question(detector.reads, None)
    since = cold_start(detector, state.jobs.get(event.detector_id), now_ms)
    return Question(detector.reads, since - detector.window_interval_ms)


def context_of(event: Event, state: CoordinatorState, now_ms: int, offset: int, answer: Found | None) -> Context:
    """The context of an event, with the answer to its question."""
    detector = state.detector(event.detector_id)
    if answer is None or detector is None:
        return Context(now_ms=now_ms, control_offset=offset)
    ranges, ids = answer
    if isinstance(event, HistoryStart):
        return Context(now_ms=now_ms, control_offset=offset, ranges=ranges, topic_ids=ids)
    begins = {topic: {at: begin for at, (begin, _) in parts.items()} for topic, parts in ranges.items()}
    if isinstance(event, JobStart) and event.from_ == "earliest":
        return Context(now_ms=now_ms, control_offset=offset, sources=begins, topic_ids=ids)
    return Context(
        now_ms=now_ms,
        control_offset=offset,
        sources=begins,
        live={topic: {at: end for at, (_, end) in parts.items()} for topic, parts in ranges.items()},
        since=cold_start(detector, state.jobs.get(event.detector_id), now_ms),
        topic_ids=ids,
    )
