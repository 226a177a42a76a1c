"""docs/control.md is true: every example is read by the program's own decoders."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from schemas.command import Command, decode_event, decode_reply
from schemas.detector import DetectorLimits, parse_detector
from streams.coordinate.tasks import TRANSITIONS

PAGE = (Path(__file__).parents[3] / "docs" / "control.md").read_text()
EXAMPLES = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
COMMANDS = [example for example in EXAMPLES if '"type": "' in example.split("error")[0]]
REPLIES = [example for example in EXAMPLES if example not in COMMANDS]


@pytest.mark.parametrize("example", COMMANDS)
def test_commands_are_understood(example: str) -> None:
    command = decode_event(example.encode())
    assert isinstance(command, Command)
    given: dict[str, Any] = msgspec.json.decode(example)
    known = {field.encode_name for field in msgspec.structs.fields(command)}
    assert set(given) - {"type"} <= known
    if "detector" in given:
        detector = parse_detector(given["detector"], limits=DetectorLimits(), now_ms=0, new_id=lambda: "f")
        assert detector.name == "cpu"


@pytest.mark.parametrize("example", REPLIES)
def test_replies_are_understood(example: str) -> None:
    reply = decode_reply(example.encode())
    assert reply.status in (200, 404)
    assert set(msgspec.json.decode(example)) <= set(reply.__struct_fields__)


def test_no_command_is_left_out() -> None:
    shown = {type(decode_event(example.encode())) for example in COMMANDS}
    assert shown == set(get_args(Command))
    assert len(REPLIES) == 2


def test_the_table_of_transitions_is_the_programs() -> None:
    rows = re.findall(r"^\| ([A-Z, ]+) \| ([A-Z, ]+) \|", PAGE, re.MULTILINE)
    shown = {
        (before, after) for befores, afters in rows for before in befores.split(", ") for after in afters.split(", ")
    }
    assert shown == {(before, after) for before, after, _ in TRANSITIONS if before != after}
