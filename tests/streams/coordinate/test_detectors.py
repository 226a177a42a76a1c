from __future__ import annotations

from typing import Any

import pytest

from schemas.command import DetectorPut
from schemas.detector import DetectorLimits, load_detector, shown_document
from schemas.interval import Interval
from schemas.state import StoredTask, encode
from schemas.task import Task
from streams.coordinate.state import Record
from streams.coordinate.step import CoordinatorLimits
from tests.schemas.documents import detector, feature, minutes
from tests.streams.coordinate.coordinator import Coordinator, reason


@pytest.fixture
def coordinator() -> Coordinator:
    return Coordinator()


def document(coordinator: Coordinator, detector_id: str = "d1") -> dict[str, Any]:
    return coordinator.machine.state.detectors[detector_id].document


def test_create_update_and_versions(coordinator: Coordinator) -> None:
    created = coordinator.put(mode="create")
    assert (created.status, created.id, created.version, created.error) == (201, "d1", 1, None)
    first = document(coordinator)
    assert first["user"]["name"] == "ada"
    assert first["last_update_time"] == coordinator.now
    assert len(first["feature_attributes"][0]["feature_id"]) == 20
    updated = coordinator.put(mode="update", description="changed")
    assert (updated.status, updated.version) == (200, 2)
    second = document(coordinator)
    assert second["description"] == "changed"
    assert second["feature_attributes"][0]["feature_id"] != first["feature_attributes"][0]["feature_id"]


def test_a_delay_that_nobody_gave_stays_automatic_when_a_client_sends_back_what_it_was_shown(
    coordinator: Coordinator,
) -> None:
    coordinator.put(window_delay=...)
    assert "window_delay" not in document(coordinator)
    assert load_detector(document(coordinator)).window_delay is None
    coordinator.put(mode="update", **{**shown_document(document(coordinator)), "description": "changed"})
    assert document(coordinator)["description"] == "changed"
    assert load_detector(document(coordinator)).window_delay is None
    coordinator.put(mode="update", window_delay=minutes(0))
    assert load_detector(document(coordinator)).window_delay == Interval(0, "Minutes")


def test_the_owner_stays_whoever_updates(coordinator: Coordinator) -> None:
    coordinator.put()
    coordinator.send(DetectorPut(detector_id="d1", detector=detector(name="d1")))
    assert document(coordinator)["user"]["name"] == "ada"


def test_ids_are_the_same_whenever_an_event_is_decided_again() -> None:
    one, two = Coordinator(), Coordinator()
    for each in (one, two):
        each.put(feature_attributes=[feature("a"), feature("b")])
        each.start()
        each.analyse()
    assert one.log == two.log
    ids = [each["feature_id"] for each in document(one)["feature_attributes"]]
    assert len({*ids, *one.machine.state.tasks}) == 4


def test_modes(coordinator: Coordinator) -> None:
    assert reason(coordinator.put(mode="update")) == (404, "Can't find config with id: d1")
    coordinator.put(mode="create")
    refused = coordinator.put(mode="create")
    assert refused.status == 409
    assert refused.error is not None
    assert refused.error["type"] == "version_conflict_engine_exception"
    assert coordinator.put(mode="upsert").version == 2


def test_a_name_belongs_to_one_detector(coordinator: Coordinator) -> None:
    coordinator.put("d1")
    taken = "Cannot create anomaly detector with name [d1] as it's already used by another detector"
    assert reason(coordinator.put("d2", name="d1")) == (409, taken)
    coordinator.put("d1", name="renamed")
    assert coordinator.put("d2", name="d1").status == 201
    coordinator.delete("d2")
    assert coordinator.put("d3", name="d1").status == 201


def test_what_may_not_change(coordinator: Coordinator) -> None:
    coordinator.put(category_field=["host", "region"], result_index="opensearch-ad-plugin-result-a")
    same: dict[str, Any] = {"category_field": ["region", "host"], "result_index": "opensearch-ad-plugin-result-a"}
    assert coordinator.put(**same).status == 200
    assert reason(coordinator.put(**{**same, "category_field": ["host"]})) == (400, "Can't change category field")
    assert reason(coordinator.put(category_field=["host", "region"])) == (400, "Can't change custom result index")


def test_running_detectors_do_not_change(coordinator: Coordinator) -> None:
    coordinator.put()
    coordinator.analyse()
    assert reason(coordinator.put()) == (400, "Historical is running")
    assert reason(coordinator.delete()) == (400, "Historical is running")
    coordinator.start()
    assert reason(coordinator.put(category_field=["host"])) == (400, "Job is running: d1")
    assert reason(coordinator.delete()) == (400, "Job is running: d1")
    coordinator.stop()
    coordinator.cancel()
    assert coordinator.put().version == 2


def test_a_seq_no_must_be_the_newest(coordinator: Coordinator) -> None:
    coordinator.put()
    coordinator.put("d2")
    stale = (400, "There was a problem updating the config:[d1]")
    assert reason(coordinator.put(if_seq_no=1, if_primary_term=1)) == stale
    assert reason(coordinator.put(if_seq_no=0, if_primary_term=2)) == stale
    assert coordinator.put(if_seq_no=0, if_primary_term=1).version == 2
    assert reason(coordinator.put(if_seq_no=0, if_primary_term=1)) == stale
    assert coordinator.put(if_seq_no=2, if_primary_term=1).version == 3
    half = "Validation Failed: 1: ifSeqNo is set, but primary term is [0];"
    assert reason(coordinator.put(if_seq_no=3)) == (400, half)


def test_limits() -> None:
    coordinator = Coordinator(
        CoordinatorLimits(max_detectors=2, max_multi_entity_detectors=1, detector=DetectorLimits(max_features=1))
    )
    coordinator.put("a", category_field=["host"])
    assert reason(coordinator.put("b", category_field=["host"])) == (
        400,
        "Can't create more than 1 HC anomaly detectors.",
    )
    coordinator.put("b")
    many = "Can't create more than 2 single-stream anomaly detectors."
    assert reason(coordinator.put("c")) == (400, many)
    assert coordinator.put("a", category_field=["host"]).status == 200
    twice = coordinator.put("b", feature_attributes=[feature("x"), feature("y")])
    assert reason(twice) == (400, "Can't create more than 1 feature(s)")


def test_previews_do_not_count() -> None:
    coordinator = Coordinator(CoordinatorLimits(max_detectors=2, max_multi_entity_detectors=1))
    assert coordinator.put("preview-1", category_field=["host"]).status == 201
    for id, members in ("a", {"category_field": ["host"]}), ("b", {}):
        assert coordinator.put(id, **members).status == 201
    assert coordinator.put("preview-2", category_field=["host"]).status == 201
    assert reason(coordinator.put("c"))[0] == 400


@pytest.mark.parametrize("detector_id", ["", "a|b", "a/b", "x" * 129, "é", "-a"])
def test_ids_that_would_break_keys_are_refused(coordinator: Coordinator, detector_id: str) -> None:
    status, text = reason(coordinator.put(detector_id, name="fine"))
    assert status == 400
    assert "must be 1 to 128 characters" in text


def test_a_detector_that_could_not_be_written_is_refused() -> None:
    coordinator = Coordinator(CoordinatorLimits(detector_bytes=5_000))
    status, text = reason(coordinator.put(ui_metadata={"x": "y" * 5_000}))
    assert (status, text[:26]) == (400, "The detector is too large:")


@pytest.mark.parametrize(
    ("members", "letter"),
    [
        ({"detection_interval": minutes(0)}, "bad-command"),
        ({"indices": "srv"}, "bad-command"),
        ({"name": "a b"}, "bad-command"),
        ({"model": {"type": "magic"}}, "bad-command"),
        ({"name": "taken"}, "refused-command"),
    ],
)
def test_a_refused_command_changes_nothing_and_is_a_dead_letter(
    coordinator: Coordinator, members: dict[str, Any], letter: str
) -> None:
    coordinator.put("taken")
    before = list(coordinator.log)
    effects = coordinator.send(
        DetectorPut(detector_id="d1", request_id="r", detector=detector(**{"name": "d1", **members}))
    )
    assert effects.records == ()
    assert effects.dead_letter is not None
    assert effects.dead_letter[0] == letter
    assert effects.reply is not None
    assert effects.reply.error is not None
    assert effects.reply.error["reason"] == effects.dead_letter[1]
    assert coordinator.log[:-1] == before


def test_a_command_without_a_request_id_gets_no_reply(coordinator: Coordinator) -> None:
    effects = coordinator.send(DetectorPut(detector_id="d1", detector=detector(name="d1")))
    assert effects.reply is None
    assert effects.records


def test_an_unknown_version_is_refused(coordinator: Coordinator) -> None:
    effects = coordinator.send(DetectorPut(detector_id="d1", version=9, detector=detector()))
    assert effects.dead_letter == ("bad-command", "version [9] is not supported, this release reads 1")


def test_delete_takes_everything_along(coordinator: Coordinator) -> None:
    coordinator.put()
    coordinator.start()
    coordinator.stop()
    task_id = coordinator.analyse().id
    child = entity_task("child", task_id)
    coordinator.machine.observe(child)
    coordinator.cancel()
    others = coordinator.put("other")
    deleted = coordinator.delete()
    assert (deleted.status, deleted.id, deleted.version) == (200, "d1", 2)
    state = coordinator.machine.state
    assert (list(state.detectors), state.jobs, state.tasks) == (["other"], {}, {})
    gone = {record.key for record, _ in coordinator.log if record.value is None}
    assert {"d1", task_id} <= gone
    assert coordinator.machine.tidy(9) == (Record("state", "child", None),)
    assert (state.children, coordinator.machine.tidy(9)) == ({}, ())
    assert others.status == 201
    assert reason(coordinator.delete()) == (404, "Can't find config with id: d1")
    # Nothing is left behind by an entity task that comes late.
    coordinator.machine.observe(child)
    assert coordinator.machine.tidy(9) == (Record("state", "child", None),)
    assert coordinator.put().version == 1


def entity_task(key: str, parent: str) -> Record:
    task = Task(
        task_type="HISTORICAL_HC_ENTITY",
        state="RUNNING",
        detector_id="d1",
        parent_task_id=parent,
        execution_start_time=1,
        last_update_time=1,
    )
    return Record("state", key, encode(StoredTask(id=key, version=1, control_offset=10_000, document=task)))


def test_an_entity_task_does_not_make_the_coordinator_skip_events(coordinator: Coordinator) -> None:
    coordinator.put(category_field=["host"])
    coordinator.machine.observe(entity_task("child", coordinator.analyse().id))
    assert coordinator.cancel().status == 200
    assert load_detector(document(coordinator)).category_fields == ("host",)
