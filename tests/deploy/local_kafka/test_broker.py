"""The local Kafka: what survives, how it ends, and what is said when it cannot start."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.errors import BrokerFailed, DataFolderUnusable, JavaMissing, PortTaken
from deploy.local_kafka import broker as broker_module
from deploy.local_kafka.broker import LocalBroker, free_port, port_is_free
from tests.conftest import Broker, TopicUnderTest
from tests.deadlines import eventually
from tests.processes import bound

PARENT = """
import sys, time
from pathlib import Path
from deploy.local_kafka.broker import LocalBroker
with LocalBroker(int(sys.argv[1]), Path(sys.argv[2]), quick=True, heap="256m"):
    print("ready", flush=True)
    time.sleep(600)
"""


def quick(port: int, data_dir: Path) -> LocalBroker:
    return LocalBroker(port, data_dir, quick=True, heap="256m")


def test_topics_survive_a_killed_parent_and_a_clean_stop(tmp_path: Path) -> None:
    port = free_port()
    address = f"127.0.0.1:{port}"
    command = bound([sys.executable, "-c", PARENT, port, tmp_path])
    with subprocess.Popen(command, stdout=subprocess.PIPE) as parent:
        try:
            assert parent.stdout is not None
            assert parent.stdout.readline() == b"ready\n"
            Broker(address).create_topic("kept").produce(b"k", b"v")
        finally:
            parent.kill()

    # At once: the start itself waits for the old broker to go.
    with quick(free_port(), tmp_path) as again:
        assert port_is_free(port)
        assert TopicUnderTest(again.bootstrap, "kept", 1).consume(1)[0].value() == b"v"
        again.check()
    eventually("nobody listens", lambda: port_is_free(again.port))


def test_a_taken_port_says_what_to_do(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(PortTaken, match=f"Port {port} is taken.*RIVERWATCH_BROKERS"):
            quick(port, tmp_path).start()


def test_a_data_folder_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataFolderUnusable, match="--data"):
        quick(free_port(), tmp_path / "file" / "kafka").start()


def test_one_data_folder_serves_one_broker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker_module, "LOCK_SECONDS", 0.2)
    with quick(free_port(), tmp_path), pytest.raises(DataFolderUnusable, match="Another broker uses"):
        quick(free_port(), tmp_path).start()


def test_no_java_is_told_before_anything_is_written(tmp_path: Path) -> None:
    environment = {"RIVERWATCH_JAVA": str(tmp_path / "nothing")}
    with pytest.raises(JavaMissing):
        LocalBroker(free_port(), tmp_path / "data", environment=environment).start()
    assert not (tmp_path / "data" / "log").exists()


def test_a_kafka_that_dies_at_its_start_shows_its_log(tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "meta.properties").write_text("version=1\nnode.id=7\ncluster.id=x\n")
    with pytest.raises(BrokerFailed, match=r"kafka\.log") as raised:
        quick(free_port(), tmp_path).start()
    assert "node" in str(raised.value)
