from __future__ import annotations

from schemas.command import Sources
from streams.coordinate.watch import TopicWatch
from tests.streams.coordinate.coordinator import Coordinator


def running(indices: list[str]) -> Coordinator:
    coordinator = Coordinator()
    coordinator.put(indices=indices)
    coordinator.put("idle", indices=["other"])
    coordinator.start(topic_ids={"srv": "one"})
    return coordinator


def changes(events: list[Sources]) -> list[dict[str, dict[int, int]]]:
    return [event.sources for event in events]


def test_new_partitions_and_topics_that_match_are_told_with_their_ids() -> None:
    coordinator, watch = running(["srv", "web-*"]), TopicWatch()
    there = {"srv": [0, 1], "other": [0]}
    state = coordinator.machine.state
    assert watch.read(state, there) == {"srv"}
    assert watch.look(state, there, {"srv": "one"}) == []
    there = {"srv": [0, 1, 2], "web-a": [0], "other": [0]}
    assert watch.read(state, there) == {"srv", "web-a"}
    (event,) = watch.look(state, there, {"srv": "one", "web-a": "two"})
    assert (event.sources, event.topic_ids) == ({"srv": {2: 0}, "web-a": {0: 0}}, {"srv": "one", "web-a": "two"})
    coordinator.send(event)
    assert watch.look(state, there, {"srv": "one", "web-a": "two"}) == []


def test_a_topic_that_was_made_anew_is_told_whole() -> None:
    coordinator, watch = running(["srv"]), TopicWatch()
    assert changes(watch.look(coordinator.machine.state, {"srv": [0, 1]}, {"srv": "two"})) == [{"srv": {0: 0, 1: 0}}]


def test_a_topic_is_gone_when_it_is_missing_twice_in_a_row() -> None:
    coordinator, watch = running(["srv"]), TopicWatch()
    state = coordinator.machine.state
    assert watch.look(state, {}, {}) == []
    assert watch.look(state, {"srv": [0, 1]}, {"srv": "one"}) == []
    assert watch.look(state, {}, {}) == []
    assert changes(watch.look(state, {}, {})) == [{"srv": {}}]


def test_who_does_not_run_is_told_nothing() -> None:
    coordinator, watch = running(["srv"]), TopicWatch()
    coordinator.stop()
    assert watch.read(coordinator.machine.state, {"srv": [0, 1, 2]}) == frozenset()
    assert watch.look(coordinator.machine.state, {"srv": [0, 1, 2]}, {}) == []
