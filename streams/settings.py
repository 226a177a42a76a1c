"""The settings of a worker, read once from the environment (docs/settings.md lists them for people)."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from schemas.bounds import Bounds
from schemas.detector_check import DetectorLimits
from streams.schema_registry.client import registry_settings

KAFKA_PREFIX = "RIVERWATCH_KAFKA_"


def setting(default: Any, text: str, **bounds: int) -> Any:
    """A documented field: the environment name is ``RIVERWATCH_`` and the field's name in capitals."""
    return field(default=default, metadata={"text": text, "bounds": Bounds(**bounds)})


@dataclass(frozen=True)
class Settings:
    """Everything that a user may want to change about a worker. Durations are in seconds unless named."""

    brokers: str = setting("127.0.0.1:9092", "Kafka's bootstrap servers, comma separated.")
    prefix: str = setting("riverwatch.", "In front of the names of Riverwatch's own topics.")
    group: str = setting("", "Consumer group of the workers; made from the prefix if empty.")
    node_id: str = setting("", "Name of this worker in statistics and tasks; made from host and process if empty.")
    model_partitions: int = setting(8, "Partitions that models are spread over; fixed once topics exist.")
    replication: int = setting(
        -1, "Replication factor of the topics that are created; -1 is the cluster's own default.", least=-1
    )
    apply_topics: bool = setting(True, "Create and repair Riverwatch's topics when a worker or the API starts.")
    session_timeout: float = setting(10.0, "A worker that is silent for so long loses its partitions.")
    commit_interval: float = setting(0.5, "How often safe offsets are committed.")
    fetch_bytes: int = setting(1_048_576, "Most bytes of one partition in one fetch.")
    linger_ms: int = setting(5, "How long the producer waits for a batch to fill, in ms.", least=0)
    compression: str = setting("lz4", "Compression of what workers write: none, gzip, snappy, lz4, zstd.")
    idle_timeout: float = setting(30.0, "A source without records for so long closes its windows (old times).")
    start_timeout: float = setting(5.0, "A source without any record for so long holds nobody back.", least=0)
    tick_grace: float = setting(
        0.5, "A live source must be quiet for so long before the clock goes on by itself.", least=0
    )
    outage_grace: float = setting(
        15.0, "After Kafka did not answer, windows wait as long as that lasted and a second, at most so long.", least=0
    )
    trailing_limit: float = setting(
        900.0,
        "A source that is read to its end, but so much event time behind the others, is not waited for.",
        least=0,
    )
    max_ahead: float = setting(
        600.0, "Event times further ahead of the record's Kafka timestamp are dead letters.", least=0
    )
    max_auto_delay: float = setting(
        60.0,
        "A detector without window_delay waits for late records as long as it has seen is needed, at most so long.",
        least=0,
    )
    source_checkpoint_interval: float = setting(5.0, "How often a source's open windows are checkpointed.")
    record_bytes: int = setting(8_000_000, "Windows and checkpoints are cut into records of about this size.")
    model_checkpoint_windows: int = setting(50, "A model is checkpointed about every so many windows,")
    model_checkpoint_interval: float = setting(900.0, "and at the latest so long after it changed.", most=1800)
    model_lifetime: float = setting(
        30.0, "Days of event time after which the model of an entity that is gone is forgotten; 0: never.", least=0
    )
    models_in_memory: int = setting(1_000_000, "Models in a worker's memory; those unused for longest wait in a file.")
    max_imputed_windows: int = setting(
        1000, "Most windows without records that are filled in or told as empty at once.", least=0
    )
    statistics_interval: float = setting(1.0, "How often a worker writes its statistics and progress.")
    topic_refresh_interval: float = setting(5.0, "How often topics are looked up for patterns and new partitions.")
    max_detectors: int = setting(1000, "Most detectors.", least=0)
    max_multi_entity_detectors: int = setting(1000, "Most detectors with category fields.", least=0)
    max_features: int = setting(5, "Most features of a detector, at most 10.", most=10)
    category_field_limit: int = setting(2, "Most category fields of a detector.", least=0)
    max_historical_tasks: int = setting(10, "Historical analyses that may run at the same time.", least=0)
    max_historical_tasks_per_worker: int = setting(10, "Analyses that one worker reads for at the same time.", least=0)
    scan_slice: int = setting(2_000, "Records that an analysis takes in at one time; live work waits for a slice.")
    scan_backlog: int = setting(100_000, "Rows that an analysis may leave unscored before its reading waits.")
    max_entities_per_task: int = setting(200_000, "Entities of one analysis, shared out evenly among model partitions.")
    max_old_tasks: int = setting(1, "Ended historical tasks that are kept for each detector.", least=0)
    kernel: str = setting("auto", "What scores: numpy, compiled (faster, same results), or auto: what there is.")
    restart: bool = setting(True, "A worker that failed starts itself anew; false ends it with exit code 75.")
    log_level: str = setting("info", "debug, info, warning or error.")
    schema_registry: Mapping[str, str] = setting(
        (),
        "Schema registry, properties of confluent-kafka's client: RIVERWATCH_SCHEMA_REGISTRY_URL,"
        " RIVERWATCH_SCHEMA_REGISTRY_BASIC_AUTH_USER_INFO, RIVERWATCH_SCHEMA_REGISTRY_SSL_CA_LOCATION and so on.",
    )
    kafka: Mapping[str, str] = setting((), "Kafka client properties: RIVERWATCH_KAFKA_SECURITY_PROTOCOL and so on.")

    def __post_init__(self) -> None:
        for entry in fields(self):
            value = getattr(self, entry.name)
            if type(value) in (int, float) and not entry.metadata["bounds"].hold(value):
                kind = "a whole number" if type(entry.default) is int else "a number"
                variable = "RIVERWATCH_" + entry.name.upper()
                raise ValueError(f"{variable} must be {kind}, {entry.metadata['bounds']}, not {value}")
        object.__setattr__(self, "kafka", dict(self.kafka))
        object.__setattr__(self, "schema_registry", dict(self.schema_registry))
        if not self.group:
            # Two Riverwatches on one Kafka, told apart by their prefixes, must not share their partitions.
            object.__setattr__(self, "group", self.prefix + "workers")
        if not self.node_id:
            object.__setattr__(self, "node_id", f"{socket.gethostname()}-{os.getpid()}")

    @classmethod
    def from_environment(cls, env: Mapping[str, str], **given: Any) -> Settings:
        """Read the settings from ``env``; ``given`` (flags of the command line) wins where it is not None.

        Raises ``ValueError`` that names the variable for a value of the wrong type or out of range.

        >>> Settings.from_environment({"RIVERWATCH_BROKERS": "k:9092"}, prefix="x.").brokers
        'k:9092'
        """
        values: dict[str, Any] = {}
        for entry in fields(cls):
            name = "RIVERWATCH_" + entry.name.upper()
            if given.get(entry.name) is not None:
                values[entry.name] = given[entry.name]
            elif entry.name == "schema_registry":
                values["schema_registry"] = registry_settings(env)
            elif entry.name == "kafka":
                values["kafka"] = {
                    key.removeprefix(KAFKA_PREFIX).lower().replace("_", "."): value
                    for key, value in env.items()
                    if key.startswith(KAFKA_PREFIX)
                }
            elif env.get(name, "") != "":
                values[entry.name] = _convert(name, env[name], type(entry.default))
        return cls(**values)

    def detector_limits(self) -> DetectorLimits:
        """How large a detector may be."""
        return DetectorLimits(
            max_features=self.max_features, category_field_limit=self.category_field_limit, own_prefix=self.prefix
        )

    def client(self, **more: Any) -> dict[str, Any]:
        """The configuration of a confluent-kafka client."""
        return {"bootstrap.servers": self.brokers, "client.id": self.node_id, **self.kafka, **more}

    def topic(self, name: str) -> str:
        """The full name of one of Riverwatch's own topics."""
        return self.prefix + name


def _convert(name: str, text: str, kind: type) -> Any:
    if kind is bool:
        if text.lower() in ("true", "1", "yes", "on"):
            return True
        if text.lower() in ("false", "0", "no", "off"):
            return False
        raise ValueError(f"{name} must be true or false, not {text!r}")
    try:
        return kind(text)
    except ValueError:
        wanted = "a whole number" if kind is int else "a number"
        raise ValueError(f"{name} must be {wanted}, not {text!r}") from None
