"""What OpenSearch answered to requests that change nothing is answered here, too."""

from __future__ import annotations

import json
import math
import random
import time
from collections.abc import Iterator

import pytest

from tests.api.conftest import RunningApi, running_api
from tests.conftest import Broker
from tests.contract.replay import Recording, differences, recordings
from tests.deadlines import REQUEST

ALL = recordings()


def srv(minutes: int = 120) -> list[dict[str, object]]:
    """The newest records of the source that the recordings were made with."""
    chance, now, records = random.Random(1), int(time.time()) // 60 * 60_000, []
    for back in range(minutes):
        at = now - back * 60_000
        for host in range(10):
            value = 50 + 10 * host + 20 * math.sin(at / 1e7) + chance.gauss(0, 1.5)
            records.append(
                {
                    "timestamp": at,
                    "ts_nanos": at,
                    "host": f"host-{host}",
                    "region": "eu" if host < 5 else "us",
                    "ip": f"10.0.0.{host}",
                    "msg": f"hello host-{host}",
                    "ts_text": str(at),
                    "value": round(value, 3),
                    "cpu": 30.5 + host,
                    "requests": 100 + host,
                    "port": 80,
                }
            )
    return records


@pytest.fixture(scope="module")
def api(broker: Broker) -> Iterator[RunningApi]:
    """An API over the topics that the recordings name, with one detector, so that it is not fresh."""
    existing = broker.admin().list_topics(timeout=REQUEST).topics
    if "srv" not in existing:
        topic = broker.create_topic("srv")
        topic.produce_all([(None, json.dumps(record).encode()) for record in srv()])
    if "emptyidx" not in existing:
        broker.create_topic("emptyidx")
    with running_api(broker) as running:
        assert running.call("POST", "/detectors", running.detector("srv", name="d-single")).status_code == 201
        yield running


@pytest.mark.parametrize("recording", ALL, ids=[f"{each.number}-{each.name}" for each in ALL])
def test_recorded(api: RunningApi, recording: Recording) -> None:
    assert differences(recording, recording.send(api.client)) == []
