"""What each worker says about itself on the topic ``nodes``, every few seconds."""

from __future__ import annotations

import msgspec

from schemas.task import EntityValue

MODELS_SHOWN = 100
"""Models that a node lists at most: OpenSearch's default of ``max_model_size_per_node``."""


class Model(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A model in a worker's memory. Until its first checkpoint ``last_checkpoint_time`` is when it was made."""

    detector_id: str
    model_id: str
    model_type: str
    last_used_time: int
    last_checkpoint_time: int
    entity: list[EntityValue] | None = None


class RunStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker knows of one running detector: its share only, summed up by the reader.

    ``rows`` is the most rows that one of its models has seen; ``scored_until`` the end of the last scored window.
    ``window_delay_ms`` is how long windows of its sources wait for late records now; ``window_delay_auto`` says that
    this is measured. ``dead_letters`` counts by reason the records that the detector can't use, ``counts`` what else
    does not count: points that its filter leaves out (``filtered``), values that stand for none (``missing``) and
    others that are no numbers (``unusable``).
    """

    detector_id: str
    run: int
    entities: int
    active_entities: int
    rows: int
    model_bytes: int
    late_records: int
    records: int
    scored_until: int | None
    window_delay_ms: int = 0
    window_delay_auto: bool = False
    dead_letters: dict[str, int] = {}
    counts: dict[str, int] = {}


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """One worker. Counters start at 0 with the process; ``time`` is that of this record by Kafka's clock (epoch ms),
    and ``clock_skew_ms`` how far that is ahead of the worker's own.

    ``dead_letters`` counts them by topic and reason, ``unreadable`` by topic the records of Riverwatch's own
    topics that it skipped since they could not be read.
    """

    node_id: str
    time: int
    started: int
    ad_execute_request_count: int
    ad_execute_failure_count: int
    ad_hc_execute_request_count: int
    ad_hc_execute_failure_count: int
    ad_executing_batch_task_count: int
    ad_canceled_batch_task_count: int
    ad_total_batch_task_execution_count: int
    ad_batch_task_failure_count: int
    ad_model_corruption_count: int
    model_count: int
    models: list[Model]
    runs: list[RunStatistics]
    dead_letters: dict[str, dict[str, int]]
    unreadable: dict[str, int] = {}
    clock_skew_ms: int = 0


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Node)


def encode_node(node: Node) -> bytes:
    """Write a record of the nodes topic."""
    return _encoder.encode(node)


def decode_node(value: bytes) -> Node:
    """Read a record of the nodes topic."""
    return _decoder.decode(value)
