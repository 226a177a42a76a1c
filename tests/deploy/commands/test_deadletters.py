"""``riverwatch deadletters``."""

from __future__ import annotations

import json

from schemas.deadletter import DeadLetter
from tests.command_line import run, running
from tests.conftest import Broker, TopicUnderTest
from tests.deadlines import REQUEST


def test_letters_are_listed_by_topic_reason_and_detector(broker: Broker, topic_prefix: str) -> None:
    flags = ("--brokers", broker.bootstrap, "--prefix", topic_prefix)
    assert run("topics", "apply", "--model-partitions", "1", *flags).returncode == 0
    topic = TopicUnderTest(broker.bootstrap, topic_prefix + "deadletter", 1)
    letters = [
        DeadLetter("m", 3, 7, "bad-time", "t: no time", b"k", b'{"t": "?"}', ("d", "e")),
        DeadLetter("m", 3, 8, "malformed-json", "truncated", None, b"\xff{", ()),
        DeadLetter("n", 0, 9, "bad-time", "t: no time", None, b"{}", ("e",)),
    ]
    topic.produce(b"k", b"garbage")
    for letter in letters:
        topic.produce(letter.key, letter.value, headers=letter.headers())

    def listed(*more: str) -> list[int]:
        answer = run("deadletters", "--json", *more, *flags)
        assert answer.returncode == 0, answer.stderr
        return [json.loads(line)["offset"] for line in answer.stdout.splitlines()]

    assert listed() == [7, 8, 9]
    assert listed("--topic", "m") == [7, 8]
    assert listed("--reason", "bad-time") == [7, 9]
    assert listed("--detector", "d") == [7, 8]
    lines = run("deadletters", *flags).stdout.splitlines()
    assert [line[21:] for line in lines] == [
        'bad-time  m/3 at 7  d,e  t: no time  {"t": "?"}',
        "malformed-json  m/3 at 8  all  truncated  \\xff{",
        "bad-time  n/0 at 9  e  t: no time  {}",
    ]
    first, second, _ = map(json.loads, run("deadletters", "--json", *flags).stdout.splitlines())
    assert (first["key"], first["value"], second["value_base64"]) == ("k", '{"t": "?"}', "/3s=")

    with running("deadletters", "--json", "--follow", "--topic", "n", *flags) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["offset"] == 9
        later = DeadLetter("n", 0, 10, "bad-time", "t: no time", None, b"{}", ("e",))
        topic.produce(later.key, later.value, headers=later.headers())
        assert json.loads(process.stdout.readline())["offset"] == 10
        process.terminate()
        assert process.wait(REQUEST) == 0
