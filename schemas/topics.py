"""The one table of topics: name, key, partitions, cleanup, retention, payload and writer.

Admin tools, producers, consumers and docs/topics.md are derived from it.

>>> TOPICS["results"].full_name("riverwatch.")
'riverwatch.results'
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

HOUR = 3_600_000
DAY = 24 * HOUR

COMPACTION_LAG_MS = HOUR
"""Nothing of a topic whose writers are fenced is compacted before this age. A stale record erases the valid one that
its own writer had written before under the same key: by then the successor has written that anew
(streams/fencing/fence.py)."""

Sizing = Literal["one", "models"]
"""``one``: a single partition, one total order. ``models``: as many partitions as models are spread over."""


@dataclass(frozen=True)
class Topic:
    """What is to be known about one topic.

    ``fenced``: shares of it change hands among workers, and readers refuse what a former owner writes
    (streams/fencing/fence.py). ``payload`` names the module and type that reads a record's value.
    ``max_message_bytes`` is above Kafka's default of 1 MB only where one record carries many entities, or somebody
    else's bytes.
    ``append_time``: the broker stamps the records, which tells what time it is by its clock.
    """

    name: str
    key: str
    carries: str
    payload: str
    writer: str
    sizing: Sizing
    compact: bool
    retention_ms: int | None
    max_message_bytes: int = 1_048_588
    fenced: bool = False
    append_time: bool = False

    def full_name(self, prefix: str) -> str:
        """The topic's name in Kafka."""
        return prefix + self.name

    def partitions(self, model_partitions: int) -> int:
        """How many partitions the topic has when models are spread over ``model_partitions``."""
        return 1 if self.sizing == "one" else model_partitions

    def config(self) -> dict[str, str]:
        """The topic's configuration in Kafka's words."""
        config = {
            "cleanup.policy": "compact" if self.compact else "delete",
            "max.message.bytes": str(self.max_message_bytes),
        }
        if self.compact:
            # A view that was away longer than this would miss deletions: see docs/topics.md.
            config["delete.retention.ms"] = str(7 * DAY)
        if self.fenced:
            config["min.compaction.lag.ms"] = str(COMPACTION_LAG_MS)
            # The lag must begin when a record arrives. A worker that was paused sends, when it goes on, records that it
            # had made long before: by their own times they could be compacted at once.
        if self.fenced or self.append_time:
            config["message.timestamp.type"] = "LogAppendTime"
        if self.retention_ms is not None:
            config["retention.ms"] = str(self.retention_ms)
        return config


_LARGE = 16 * 1024 * 1024

TOPICS: dict[str, Topic] = {
    topic.name: topic
    for topic in (
        Topic(
            "control",
            "detector id",
            "commands and internal events",
            "schemas.command.Event",
            "API, workers, you",
            "one",
            False,
            7 * DAY,
        ),
        Topic(
            "detectors",
            "detector id",
            "detector configurations",
            "schemas.state.StoredDetector",
            "coordinator",
            "one",
            True,
            None,
        ),
        Topic(
            "state",
            "document id",
            "job and task documents",
            "schemas.state.StoredJob | StoredTask | Position",
            "coordinator; entity tasks by the scorer",
            "one",
            True,
            None,
            _LARGE,
        ),
        Topic(
            "scans",
            "task and source partition",
            "bounded reads to do",
            "schemas.scan.Scan",
            "coordinator",
            "models",
            False,
            7 * DAY,
        ),
        Topic(
            "partials",
            "none: partition = hash of the model key",
            "windows closed by one source partition, source clocks",
            "schemas.partial.Partial",
            "ingest, scan",
            "models",
            False,
            7 * DAY,
            _LARGE,
        ),
        Topic(
            "windows",
            "epoch, source partition or scan, and part; claims: a token of their own",
            "who owns a source or scan; its open windows, and the offset they are valid at",
            "schemas.checkpoint.SourceCheckpoint | schemas.scan.ScanCheckpoint",
            "ingest, scan",
            "one",
            True,
            None,
            _LARGE,
            fenced=True,
        ),
        Topic(
            "results",
            "model key",
            "every result document",
            "schemas.result.Result",
            "scorer",
            "models",
            False,
            30 * DAY,
        ),
        Topic(
            "anomalies",
            "model key",
            "the results with a grade above 0",
            "schemas.result.Result",
            "scorer",
            "models",
            False,
            30 * DAY,
        ),
        Topic(
            "checkpoints",
            "epoch, model partition and model key, same partition as partials; claims: a token of their own",
            "who owns a model partition; model snapshots",
            "schemas.checkpoint.ModelCheckpoint",
            "scorer",
            "models",
            True,
            None,
            _LARGE,
            fenced=True,
        ),
        Topic(
            "deletions",
            "none",
            "which results to forget",
            "schemas.deletion.Deletion",
            "API",
            "one",
            False,
            30 * DAY,
        ),
        Topic(
            "nodes",
            "node id",
            "statistics of each worker",
            "schemas.node.Node",
            "workers",
            "one",
            True,
            None,
            append_time=True,
        ),
        Topic(
            "replies",
            "request id",
            "the outcome of a command",
            "schemas.command.Reply",
            "coordinator",
            "one",
            False,
            HOUR,
        ),
        Topic(
            "deadletter",
            "source key",
            "bytes that could not be used, reason and origin in headers",
            "schemas.deadletter.DeadLetter",
            "workers",
            "one",
            False,
            7 * DAY,
            _LARGE,
        ),
    )
}
