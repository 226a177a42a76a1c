"""``riverwatch tail``."""

from __future__ import annotations

import pytest

from schemas.result import Result, encode_result
from schemas.task import EntityValue
from tests.command_line import run, running
from tests.conftest import Broker, TopicUnderTest
from tests.deadlines import REQUEST


def sample(number: int, detector: str, grade: float) -> Result:
    return Result(
        id=f"{detector}|host-1|{number}",
        detector_id=detector,
        data_start_time=0,
        data_end_time=60_000 * number,
        anomaly_grade=grade,
        confidence=0.9,
        entity=[EntityValue("host", "host-1")],
    )


def test_tail_prints_readable_lines_or_the_documents_themselves(
    broker: Broker, topic_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    flags = ("--brokers", broker.bootstrap, "--prefix", topic_prefix)
    assert run("topics", "apply", "--model-partitions", "1", *flags).returncode == 0
    topic = TopicUnderTest(broker.bootstrap, topic_prefix + "anomalies", 1)
    first, other, last = sample(1, "d1", 0.25), sample(2, "d2", 0.5), sample(3, "d1", 0.75)
    topic.produce_all([(b"k", b"garbage"), *((b"k", encode_result(each)) for each in (first, other))])

    tail = ("tail", "anomalies", "--from-beginning", "--detector", "d1", *flags)
    for extra, expected in [
        ((), ["1970-01-01 00:01:00  d1  host=host-1  -  grade 0.25 confidence 0.90\n"]),
        (("--json",), [encode_result(first).decode() + "\n"]),
    ]:
        with running(*tail, *extra) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == f"tail ready on {topic_prefix}anomalies\n"
            assert [process.stdout.readline()] == expected
            process.terminate()
            assert process.wait(REQUEST) == 0

    with running("tail", "anomalies", "--json", *flags) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("tail ready")
        topic.produce(b"k", encode_result(last))
        assert process.stdout.readline() == encode_result(last).decode() + "\n"


def test_tail_without_topics_or_kafka_says_what_to_do(broker: Broker, topic_prefix: str) -> None:
    answer = run("tail", "results", "--brokers", broker.bootstrap, "--prefix", topic_prefix)
    assert answer.returncode == 1
    assert "topics apply" in answer.stderr
