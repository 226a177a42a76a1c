"""A coordinating worker that is paused in a burst of commands: its successor's decisions stand."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections import Counter
from typing import Any

import pytest
from confluent_kafka import Message

from schemas.command import decode_reply
from tests.cluster import Cluster, WorkerProcess, document
from tests.conftest import Broker
from tests.streams.coordinate.memory import Log, Term

COMMANDS = 4_000


def burst() -> list[dict[str, Any]]:
    """Detectors that are made, changed and deleted, few of them and in any order."""
    dice = random.Random(1)
    commands = []
    for number in range(COMMANDS):
        detector_id = f"d{dice.randrange(80)}"
        kind = dice.choice(["detector.put", "detector.put", "detector.delete"])
        put = {"detector": document(detector_id, "nowhere", description=str(number))} if kind.endswith("put") else {}
        commands.append({"type": kind, "detector_id": detector_id, "request_id": f"r{number}", **put})
    return commands


def times_of(nodes: list[Message], node_id: str) -> list[int]:
    return [json.loads(message.value())["time"] for message in nodes if message.key() == node_id.encode()]


def times_begun(worker: WorkerProcess) -> int:
    return sum("coordinator begins " in line for line in worker.lines)


@pytest.mark.slow
def test_every_command_has_its_effects_once_and_in_order(broker: Broker, topic_prefix: str) -> None:
    with Cluster(broker.bootstrap, topic_prefix) as cluster:
        workers = [cluster.start_worker(), cluster.start_worker()]
        (paused,) = [worker for worker in workers if times_begun(worker) > 0]
        (successor,) = [worker for worker in workers if worker is not paused]
        cluster.produce(topic_prefix + "control", burst())
        cluster.read("replies", lambda replies: len(replies) > 0)
        os.kill(paused.pid, signal.SIGSTOP)
        try:
            successor.wait_for("coordinator begins ")
            done = len(cluster.read("replies", lambda replies: len(replies) > 0))
            replies = cluster.read("replies", lambda replies: len(replies) >= COMMANDS)
            for number in range(80):  # whatever is left of them must stay deleted
                cluster.produce(
                    topic_prefix + "control",
                    [{"type": "detector.delete", "detector_id": f"d{number}", "request_id": f"last{number}"}],
                )
            cluster.read("replies", lambda replies: len(replies) >= COMMANDS + 80)
        finally:
            os.kill(paused.pid, signal.SIGCONT)
        node, resumed = next(line.split()[1] for line in paused.lines if line.endswith(" ready")), time.time() * 1000
        cluster.read("nodes", lambda nodes: any(at > resumed for at in times_of(nodes, node)))
        cluster.create("nowhere", detector_id="after")
        replies = cluster.read("replies", lambda replies: len(replies) >= COMMANDS + 81)
        control = cluster.read("control", lambda records: len(records) >= COMMANDS + 81)
        detectors: dict[str, Any] = {}
        for message in cluster.read("detectors", lambda messages: any(m.key() == b"after" for m in messages)):
            if message.value() is None:
                detectors.pop(message.key().decode(), None)
            else:
                detectors[message.key().decode()] = json.loads(message.value())
        assert all(worker.stop() == 0 for worker in workers)
    assert done < COMMANDS, "the pause came too late to prove anything"
    assert list(detectors) == ["after"]
    assert Counter(message.key() for message in replies).most_common(1)[0][1] == 1
    log = Log()
    undisturbed = Term(log)
    for message in control:
        undisturbed.commit(undisturbed.batch([(message.offset(), message.value())]))
    wanted = {str(entry.key): decode_reply(entry.value or b"") for entry in log.topics["replies"]}
    for message in replies:
        found = decode_reply(message.value())
        expected = wanted[message.key().decode()]
        assert (found.status, found.version, found.error) == (expected.status, expected.version, expected.error)
