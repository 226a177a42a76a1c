"""``riverwatch deadletters``: what could not be used, and why."""

from __future__ import annotations

import base64
import json
import os
from typing import Any, get_args

import click

from deploy.command_line.environment import kafka_options, overlay, read_settings
from deploy.command_line.times import utc
from deploy.supervision.signals import stoppable
from deploy.topics.reader import TopicReader
from schemas.deadletter import DeadLetter, Reason, read_letter
from streams.settings import Settings

SHOWN = 200
"""Characters of a record on its line."""


@click.command("deadletters")
@click.option("--topic", help="Only records of this topic.")
@click.option("--reason", type=click.Choice(get_args(Reason)), help="Only those with this reason.")
@click.option("--detector", "detector_id", help="Only those that this detector can't use.")
@click.option("--follow", is_flag=True, help="Go on with those to come, until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document a line, with the whole record.")
@kafka_options
def command(
    topic: str | None,
    reason: str | None,
    detector_id: str | None,
    follow: bool,
    as_json: bool,
    brokers: str | None,
    prefix: str | None,
) -> None:
    """Print the records that could not be used, which Kafka keeps for seven days.

    A readable line shows when it was found, the reason, the record's topic, partition and offset, the detectors that
    can't use it, what is wrong, and the record.
    """
    settings = read_settings(Settings, overlay(os.environ, brokers=brokers, prefix=prefix))
    with stoppable():
        reader = TopicReader(settings.client(), settings.topic("deadletter"), from_beginning=True)
        while follow or not reader.at_end:
            for message in reader.poll(0.2):
                try:
                    letter = read_letter(message.key(), message.value(), message.headers() or ())
                except ValueError:
                    continue
                named = detector_id is None or letter.concerns(detector_id)
                if topic in (None, letter.topic) and reason in (None, letter.reason) and named:
                    found = message.timestamp()[1]
                    click.echo(json.dumps(document(letter, found)) if as_json else readable(letter, found))
        reader.close()


def readable(letter: DeadLetter, found: int) -> str:
    """One line for people; ``found`` is when it was written, in epoch ms.

    >>> readable(DeadLetter("m", 3, 7, "bad-time", "t: no time", None, b'{"t": "?"}', ("d", "e")), 0)
    '1970-01-01 00:00:00  bad-time  m/3 at 7  d,e  t: no time  {"t": "?"}'
    """
    text = "" if letter.value is None else letter.value[: 4 * SHOWN].decode(errors="backslashreplace")
    text = text.replace("\n", "\\n")
    shown = text if len(text) <= SHOWN else text[:SHOWN] + "..."
    place = f"{letter.topic}/{letter.partition} at {letter.offset}"
    detectors = ",".join(letter.detectors) or "all"
    return f"{utc(found)}  {letter.reason}  {place}  {detectors}  {letter.detail}  {shown}"


def document(letter: DeadLetter, found: int) -> dict[str, Any]:
    """A letter as JSON: key and value as texts, or in base64 where they are none."""
    shown: dict[str, Any] = {
        "time": found,
        "reason": letter.reason,
        "detail": letter.detail,
        "topic": letter.topic,
        "partition": letter.partition,
        "offset": letter.offset,
        "detectors": list(letter.detectors),
    }
    for name, content in (("key", letter.key), ("value", letter.value)):
        try:
            shown[name] = None if content is None else content.decode()
        except UnicodeDecodeError:
            shown[f"{name}_base64"] = base64.b64encode(content or b"").decode()
    return shown
