"""What reading each format costs, beside JSON: records a second of one core, from bytes to a batch.

    python -m tests.bench.formats [--records N]

One detector with an average by host reads what each producer of ``tests/streams/formats/samples.py`` writes, in the
format that is told from the sample. The points of a batch count as one record.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

from streams.features.plan import Plan
from streams.ingest.decode import Decoder
from streams.ingest.entities import EntityTable
from tests.schemas.documents import feature
from tests.streams.formats.samples import AT, PRODUCERS, Producer, known_schemas
from tests.streams.ingest.plans import Record, plan

RUN = 2_000


def plan_of(producer: Producer) -> Plan:
    """A detector of what a producer writes."""
    source: dict[str, Any] = {"format": producer.format, "time_unit": producer.unit}
    if producer.points is not None:
        source["points"] = producer.points
    members = {"time_field": producer.time, "category_field": [producer.host], **source}
    return plan(feature("f", "avg", producer.value), **members)


def rate(producer: Producer, count: int) -> float:
    """Records a second of processor time."""
    written = [producer.write(number % 100 + 0.5, AT + number * 1000) for number in range(RUN)]
    records = [
        Record(place, value, timestamp=AT + place * 1000, headers=headers)
        for place, (value, headers) in enumerate(written)
    ]
    plan_ = plan_of(producer)
    decoder = Decoder([plan_], [EntityTable(plan_)], max_ahead_ms=60_000, schemas=known_schemas())
    assert decoder.decode("m", 0, records).dead_letters == []
    begun = time.process_time()
    for _ in range(max(1, count // RUN)):
        decoder.decode("m", 0, records)
    return max(1, count // RUN) * RUN / (time.process_time() - begun)


def main() -> None:
    """Measure every producer and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--records", type=int, default=20_000)
    arguments = parser.parse_args()
    print("producer                 format          records/s")
    for name, producer in PRODUCERS.items():
        print(f"{name:24} {producer.format:14} {rate(producer, arguments.records):10,.0f}")


if __name__ == "__main__":
    main()
