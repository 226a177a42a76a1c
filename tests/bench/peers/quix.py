"""The same with Quix Streams: tumbling windows by the clock of the partition, with final results."""

from __future__ import annotations

import sys
import tempfile
from typing import Any

from quixstreams import Application

bootstrap, source, target = sys.argv[1:4]
told = False


def stamp(value: dict[str, Any], *_: Any) -> int:
    """Event time of a record."""
    global told
    if not told:
        print("first record", flush=True)
        told = True
    return int(value["timestamp"])


app = Application(
    broker_address=bootstrap,
    consumer_group=f"quix-{source}",
    auto_offset_reset="earliest",
    loglevel="ERROR",
    state_dir=tempfile.mkdtemp(),
    auto_create_topics=True,
)
frame = app.dataframe(app.topic(source, value_deserializer="json", timestamp_extractor=stamp))
frame = frame.apply(lambda value: value["cpu"]).tumbling_window(60_000).mean().final(closing_strategy="partition")
frame.to_topic(app.topic(target, value_serializer="json"))

if __name__ == "__main__":
    app.run()
