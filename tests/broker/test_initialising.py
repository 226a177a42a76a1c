"""How far a detector is from its first grades: what the profile and the task say is true at every moment."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from api.process import ApiProcess
from api.settings import ApiSettings
from schemas.task import ROWS_TO_INIT
from tests.api.conftest import AD, serving, wait_ready
from tests.cluster import Cluster
from tests.conftest import TopicUnderTest
from tests.deadlines import EVENT, REQUEST

START = 1_700_000_040_000
INTERVAL = 60  # no longer: a record that is further ahead of the others moves no watermark at once
PERIOD = {"period": {"interval": INTERVAL, "unit": "Seconds"}}


@pytest.fixture(scope="module")
def client(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A client of an API beside the cluster."""
    data = tmp_path_factory.mktemp("api")
    process = ApiProcess(ApiSettings(brokers=cluster.bootstrap, prefix=cluster.prefix, data=data))
    with serving(process) as url, httpx.Client(base_url=url, timeout=REQUEST) as client:
        wait_ready(client)
        yield client


def rows(numbers: range, host: str = "a", begin: int = START) -> list[dict[str, Any]]:
    """One record an interval."""
    return [{"time": begin + number * INTERVAL * 1000, "host": host, "value": 1.0} for number in numbers]


def words(missing: int) -> dict[str, Any]:
    """What the profile says about a detector that lacks so many rows."""
    if missing == 0:
        return {"percentage": "100%"}
    return {
        "percentage": f"{100 * (ROWS_TO_INIT - missing) / ROWS_TO_INIT:.0f}%",
        "estimated_minutes_left": math.ceil(missing * INTERVAL / 60),
        "needed_shingles": missing,
    }


def comes_to(client: httpx.Client, detector: str, missing: int) -> None:
    """Wait until profile and task say that so many rows are missing; neither may ever say fewer."""
    deadline = time.monotonic() + EVENT
    while True:
        profile = client.get(f"{AD}/detectors/{detector}/_profile?_all=true").json()
        task = client.get(f"{AD}/detectors/{detector}?task=true").json()["realtime_task"]
        said = profile["init_progress"]
        assert said.get("needed_shingles", 0) >= missing
        assert task["init_progress"] <= (ROWS_TO_INIT - missing) / ROWS_TO_INIT
        assert said == words(said.get("needed_shingles", 0))
        state = "RUNNING" if missing == 0 else "INIT"
        wanted = ((ROWS_TO_INIT - missing) / ROWS_TO_INIT, words(missing).get("estimated_minutes_left", 0), state)
        got = (task["init_progress"], task.get("estimated_minutes_left"), profile["state"])
        if said == words(missing) and got == wanted:
            return
        assert time.monotonic() < deadline, (said, got, wanted)
        time.sleep(0.1)


@pytest.mark.parametrize("categories", [[], ["host"]])
def test_live_rows_count_one_by_one(
    cluster: Cluster,
    client: httpx.Client,
    new_topic: Callable[..., TopicUnderTest],
    topic_prefix: str,
    categories: list[str],
) -> None:
    topic = new_topic(topic_prefix + "m")
    detector = cluster.create(topic.name, detection_interval=PERIOD, category_field=categories)
    cluster.start(detector)
    written = 0
    for windows in (5, 16, 31, 32):
        # A window ends when the next one begins. An entity that has fewer rows changes nothing.
        cluster.produce(topic.name, rows(range(written, windows + 1)))
        if categories and windows % 2:
            cluster.produce(topic.name, rows(range(windows, windows + 1), "b"))
        written = windows + 1
        comes_to(client, detector, ROWS_TO_INIT - windows)


def test_a_cold_start_counts_what_it_found(
    cluster: Cluster, client: httpx.Client, new_topic: Callable[..., TopicUnderTest], topic_prefix: str
) -> None:
    topic = new_topic(topic_prefix + "m")
    if (left := INTERVAL - time.time() % INTERVAL) < 30:
        time.sleep(left)  # the window of the newest record must not end meanwhile
    begin = (int(time.time()) // INTERVAL - 20) * INTERVAL * 1000
    cluster.produce(topic.name, rows(range(21), begin=begin))
    detector = cluster.create(topic.name, detection_interval=PERIOD)
    cluster.start(detector)
    comes_to(client, detector, ROWS_TO_INIT - 20)
