"""The AsyncAPI document is one, and what is written to the topics is what it says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from api.documents.asyncapi import document
from schemas.command import DetectorPut, JobStart, Reply, User, encode_event, encode_reply
from schemas.result import FeatureData, Result, encode_result
from schemas.state import StoredTask, encode
from schemas.task import EntityValue, Task
from schemas.topics import TOPICS

DOCUMENT = document("riverwatch.")


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for inner in value.values():
            yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def test_it_is_an_asyncapi_document(node_folder: Path) -> None:
    schema = json.loads((node_folder / "node_modules/@asyncapi/specs/schemas/3.0.0.json").read_text())
    validator = jsonschema_rs.validator_for(schema)
    assert [str(error)[:500] for error in validator.iter_errors(DOCUMENT)] == []
    # As a proof that this can fail.
    assert not validator.is_valid({**DOCUMENT, "channels": {"control": {"address": 1}}})


def test_every_topic_stands_in_it_and_every_reference_leads_somewhere() -> None:
    assert {each["address"] for each in DOCUMENT["channels"].values()} == {
        topic.full_name("riverwatch.") for topic in TOPICS.values()
    }
    found = set(references(DOCUMENT))
    assert found
    for reference in found:
        place: Any = DOCUMENT
        for step in reference.removeprefix("#/").split("/"):
            place = place[step]


TASK = Task(
    task_type="REALTIME_SINGLE_ENTITY", state="RUNNING", detector_id="d", execution_start_time=1, last_update_time=2
)


@pytest.mark.parametrize(
    ("message", "record", "required"),
    [
        ("control.detector.put", encode_event(DetectorPut(detector_id="d", detector={"name": "n"})), "detector"),
        (
            "control.job.start",
            encode_event(JobStart(detector_id="d", user=User("ada"), from_="earliest")),
            "detector_id",
        ),
        ("replies.Reply", encode_reply(Reply(request_id="r", detector_id="d", status=200)), "status"),
        (
            "results.Result",
            encode_result(
                Result(
                    id="i",
                    detector_id="d",
                    data_start_time=0,
                    data_end_time=1,
                    feature_data=[FeatureData("f", "cpu", 1.5)],
                    entity=[EntityValue("host", "a")],
                )
            ),
            "id",
        ),
        ("state.task", encode(StoredTask(id="t", version=1, control_offset=3, document=TASK)), "document"),
    ],
)
def test_records_are_what_it_says(message: str, record: bytes, required: str) -> None:
    schema = {**DOCUMENT["components"]["messages"][message]["payload"], "components": DOCUMENT["components"]}
    validator = jsonschema_rs.validator_for(schema)
    value = json.loads(record)
    assert [str(error) for error in validator.iter_errors(value)] == []
    assert not validator.is_valid({name: each for name, each in value.items() if name != required})
