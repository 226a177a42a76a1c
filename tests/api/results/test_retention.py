"""The results of an analysis go with its task, through a running API."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from api.process import ApiProcess
from api.settings import ApiSettings
from schemas.result import Result, encode_result
from tests.api.conftest import RunningApi, minute_records, running_api, serving, wait_ready
from tests.conftest import Broker
from tests.deadlines import REQUEST, eventually


@pytest.fixture(scope="module")
def api(broker: Broker) -> Iterator[RunningApi]:
    """An API that looks often."""
    with running_api(broker, retention_interval=0.1) as running:
        yield running


def write(api: RunningApi, detector: str, *names: str, task: str | None = None) -> None:
    """Put results on their topic."""
    results = [
        Result(id=f"{task}|{name}", detector_id=detector, data_start_time=0, data_end_time=1, task_id=task)
        for name in names
    ]
    api.topics["results"].produce_all([(b"k", encode_result(each)) for each in results], partition=0)


def stays_at(api: RunningApi, detector: str, wanted: set[str]) -> None:
    """Wait until these are the results of the detector."""

    def found() -> set[str]:
        answer = api.call("POST", "/detectors/results/_search", {"query": {"term": {"detector_id": detector}}})
        return {hit["_id"] for hit in answer.json()["hits"]["hits"]}

    eventually(f"the results are {wanted}", lambda: found() == wanted)


def start(api: RunningApi) -> tuple[str, str]:
    """A detector and its analysis."""
    detector = str(api.call("POST", "/detectors", api.detector(api.source(minute_records()))).json()["_id"])
    started = api.call("POST", f"/detectors/{detector}/_start", {"start_time": 1, "end_time": 2})
    return detector, str(started.json()["_id"])


def test_results_go_with_their_task(api: RunningApi) -> None:
    detector, task = start(api)
    other, kept = start(api)
    write(api, other, "b", task=kept)
    write(api, detector, "live")
    write(api, detector, "a", "b", task=task)
    stays_at(api, detector, {"None|live", f"{task}|a", f"{task}|b"})
    api.topics["state"].produce(task.encode(), None)
    stays_at(api, detector, {"None|live"})
    stays_at(api, other, {f"{kept}|b"})


def test_a_store_that_is_filled_again_does_not_keep_what_is_gone(
    broker: Broker, api: RunningApi, tmp_path: Path
) -> None:
    detector, task = start(api)
    write(api, detector, "a", task=task)
    write(api, detector, "a", task="of a task that was deleted before")
    stays_at(api, detector, {f"{task}|a", "of a task that was deleted before|a"})
    # Nothing is deleted now: only what another process finds when it begins tells it.
    settings = ApiSettings(brokers=broker.bootstrap, prefix=api.prefix, data=tmp_path, retention_interval=0.1)
    second = ApiProcess(settings)
    with serving(second) as url, httpx.Client(base_url=url, timeout=REQUEST) as client:
        wait_ready(client)
        stays_at(replace(api, client=client, process=second, url=url), detector, {f"{task}|a"})
