"""The same with bytewax: tumbling event-time windows over the Kafka source."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import bytewax.operators as op
import orjson
from bytewax.connectors.kafka import KafkaSinkMessage
from bytewax.connectors.kafka import operators as kafka
from bytewax.dataflow import Dataflow
from bytewax.operators.windowing import EventClock, TumblingWindower, fold_window
from bytewax.testing import run_main

bootstrap, source, target = sys.argv[1:4]
told = False


def decode(message: Any) -> tuple[str, tuple[datetime, float]]:
    """A record as (host, (time, value))."""
    global told
    if not told:
        print("first record", flush=True)
        told = True
    document = orjson.loads(message.value)
    return document["host"], (datetime.fromtimestamp(document["timestamp"] / 1000, UTC), document["cpu"])


def add(total: tuple[float, int], value: tuple[datetime, float]) -> tuple[float, int]:
    """One more value."""
    return total[0] + value[1], total[1] + 1


flow = Dataflow("peer")
read = kafka.input("read", flow, brokers=[bootstrap], topics=[source], batch_size=1000)
pairs = op.map("decode", read.oks, decode)
clock = EventClock(lambda value: value[0], wait_for_system_duration=timedelta(0))
windower = TumblingWindower(align_to=datetime(2023, 1, 1, tzinfo=UTC), length=timedelta(minutes=1))
windows = fold_window("fold", pairs, clock, windower, lambda: (0.0, 0), add, lambda a, b: (a[0] + b[0], a[1] + b[1]))
messages = op.map(
    "encode",
    windows.down,
    lambda item: KafkaSinkMessage(
        item[0].encode(), orjson.dumps({"host": item[0], "cpu": item[1][1][0] / item[1][1][1]})
    ),
)
kafka.output("write", messages, brokers=[bootstrap], topic=target)

if __name__ == "__main__":
    run_main(flow)
