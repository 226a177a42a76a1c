"""docs/topics.md says what schemas.topics says, and its examples work."""

from __future__ import annotations

import io
import json
import re
from contextlib import redirect_stdout
from pathlib import Path

import msgspec
from confluent_kafka import Consumer, Message

import deploy
from deploy.topics.apply import apply
from schemas.result import decode_result, encode_result
from schemas.topics import DAY, HOUR, TOPICS, Topic
from tests.conftest import Broker, TopicUnderTest
from tests.deadlines import EVENT

DOCUMENT = (Path(deploy.__file__).parent.parent / "docs" / "topics.md").read_text()
EXAMPLES = dict(re.findall(r"```(\w+)\n(.*?)```", DOCUMENT, re.DOTALL))


def row(topic: Topic) -> str:
    """The topic's line of the table."""
    if topic.retention_ms is None:
        kept = "for ever"
    elif topic.retention_ms >= DAY:
        kept = f"{topic.retention_ms // DAY} d"
    else:
        kept = f"{topic.retention_ms // HOUR} h"
    cells = [
        topic.name,
        topic.key,
        topic.carries,
        "`" + topic.payload.replace(" | ", "`, `") + "`",
        "1" if topic.sizing == "one" else "models",
        "compact" if topic.compact else "delete",
        kept,
        f"{topic.max_message_bytes // 2**20} MB",
        topic.writer,
    ]
    return "| " + " | ".join(cells) + " |"


def test_the_table_is_that_of_the_schemas() -> None:
    table = DOCUMENT.partition("\n## ")[0]
    lines = [line for line in table.splitlines() if line.startswith("| ")]
    assert lines[1:] == [row(topic) for topic in TOPICS.values()]


def test_the_document_is_one_that_is_written() -> None:
    sample = msgspec.json.format(encode_result(decode_result(EXAMPLES["json"].encode())), indent=2).decode()
    assert json.loads(sample) == json.loads(EXAMPLES["json"])


class OneRecord(Consumer):
    """Waits for one record, however busy the machine is, and then takes the topic for read."""

    found = False

    def poll(self, _seconds: float) -> Message | None:
        if self.found:
            return None
        self.found = True
        return super().poll(EVENT)


def test_the_consumer_of_three_lines_prints_what_is_there(broker: Broker, topic_prefix: str) -> None:
    code = EXAMPLES["python"].strip()
    assert len(code.splitlines()) == 3
    apply({"bootstrap.servers": broker.bootstrap}, prefix=topic_prefix, model_partitions=2, replication=1)
    written = TopicUnderTest(broker.bootstrap, topic_prefix + "anomalies", 2)
    written.produce(b"k", EXAMPLES["json"].encode())

    for old, new in [
        ("127.0.0.1:9092", broker.bootstrap),
        ("riverwatch.", topic_prefix),
        ('"me"', f'"{topic_prefix}"'),
    ]:
        assert old in code
        code = code.replace(old, new)
    printed = io.StringIO()
    names: dict[str, object] = {"Consumer": OneRecord, "json": json}
    with redirect_stdout(printed):
        exec(code, names)
    consumer = names["consumer"]
    assert isinstance(consumer, Consumer)
    consumer.close()
    assert printed.getvalue() == f"{json.loads(EXAMPLES['json'])}\n"
