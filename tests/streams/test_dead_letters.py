"""What a worker sends to the dead-letter topic, and what it counts."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from schemas.deadletter import DeadLetter
from streams.dead_letters import DeadLetters
from streams.kafka.tp import TP
from streams.settings import Settings
from tests.streams.ingest.plans import Record


class Sent:
    """Keeps what is sent."""

    def __init__(self) -> None:
        self.records: list[tuple[str, bytes | None, dict[str, Any]]] = []

    async def send(self, topic: str, value: bytes | None, **rest: Any) -> None:
        self.records.append((topic, value, rest))


def test_a_record_is_sent_with_its_bytes_and_its_origin() -> None:
    sent = Sent()
    asyncio.run(DeadLetters(Settings(), sent).reject(TP("m", 3), Record(7, b"\xff"), "malformed-json", "why"))
    ((topic, value, rest),) = sent.records
    assert (topic, value) == ("riverwatch.deadletter", b"\xff")
    assert rest["headers"][:4] == [
        ("riverwatch.topic", b"m"),
        ("riverwatch.partition", b"3"),
        ("riverwatch.offset", b"7"),
        ("riverwatch.reason", b"malformed-json"),
    ]


def test_they_are_counted_by_topic_and_reason() -> None:
    letters = DeadLetters(Settings(), Sent())

    async def send() -> None:
        for topic, partition, owner in [("m", 0, "d"), ("m", 0, "d"), ("m", 1, "e"), ("n", 0, "d")]:
            await letters.send(DeadLetter(topic, partition, 7, "bad-time", "why", None, b"{}", (owner,)))
        await letters.reject(TP("m", 0), Record(8, b"{"), "malformed-json", "no end")

    asyncio.run(send())
    assert letters.counts == {"m": {"bad-time": 3, "malformed-json": 1}, "n": {"bad-time": 1}}


def test_a_detail_may_quote_what_no_utf8_can_hold() -> None:
    headers = dict(DeadLetter("m", 0, 7, "bad-command", "not \ud800", None, b"").headers())
    assert headers["riverwatch.detail"] == b"not \\ud800"


def test_the_log_has_one_line_a_minute_with_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    letters = DeadLetters(Settings(), Sent())

    async def send() -> None:
        for offset in range(3):
            await letters.send(DeadLetter("m", 0, offset, "bad-time", f"t: no time {offset}", None, b"{}", ("d",)))

    asyncio.run(send())
    assert capsys.readouterr().out.count("records can't be used") == 1
