"""``riverwatch worker``."""

from __future__ import annotations

from deploy.local_kafka.broker import free_port
from tests.command_line import running
from tests.deadlines import REQUEST, eventually


def test_a_worker_without_kafka_waits_and_says_so() -> None:
    with running("worker", "--brokers", f"127.0.0.1:{free_port()}") as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("waiting for Kafka: Kafka does not answer")
        process.terminate()
        assert process.wait(REQUEST) == 0
    eventually("it has ended", lambda: process.poll() is not None)
