"""A plain Faust agent: orjson, one-minute sums in a dict, an average per window when its minute is over."""

from __future__ import annotations

import sys
import tempfile

import faust
import orjson

bootstrap, source, target = sys.argv[1:4]

app = faust.App(
    f"peer-{source}",
    broker=f"kafka://{bootstrap}",
    store="memory://",
    datadir=tempfile.mkdtemp(),
    web_enabled=False,
    key_serializer="raw",
    value_serializer="raw",
    consumer_auto_offset_reset="earliest",
    topic_allow_declare=False,
    topic_disable_leader=True,
    producer_linger=0.005,
)
metrics = app.topic(source, key_type=bytes, value_type=bytes)
results = app.topic(target, key_type=bytes, value_type=bytes)
sums: dict[tuple[int, int], dict[str, list[float]]] = {}
clocks: dict[int, int] = {}


@app.agent(metrics)
async def average(stream: faust.StreamT[bytes]) -> None:
    """Keep the sums of each source partition; emit a minute when the partition has passed it."""
    told = False
    async for event in stream.events():
        if not told:
            print("first record", file=sys.__stdout__, flush=True)
            told = True
        document = orjson.loads(event.value)
        partition, minute = event.message.partition, document["timestamp"] // 60_000
        entry = sums.setdefault((partition, minute), {}).setdefault(document["host"], [0.0, 0])
        entry[0] += document["cpu"]
        entry[1] += 1
        if minute > clocks.get(partition, 0):
            clocks[partition] = minute
            for key in [key for key in sums if key[0] == partition and key[1] < minute]:
                for host, (total, number) in sums.pop(key).items():
                    result = {"host": host, "minute": key[1], "cpu": total / number}
                    await results.send(key=host.encode(), value=orjson.dumps(result))


if __name__ == "__main__":
    sys.argv = ["faust", "worker", "-l", "error", "--without-web"]
    app.main()
