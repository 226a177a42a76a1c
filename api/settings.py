# ruff: noqa: RUF009 -- _setting() is field() with documentation, it makes no shared default
"""The settings of the API: one frozen dataclass, read once from the environment.

Every field carries its documentation and the variable it is read from, so that docs/settings.md can be checked
against this file.

>>> ApiSettings.from_environment({"RIVERWATCH_API_PORT": "9300"}).port
9300
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from schemas.bounds import Bounds
from schemas.errors import RiverwatchError
from streams.schema_registry.client import PREFIX, registry_settings

KAFKA_PREFIX = "RIVERWATCH_KAFKA_"


class SettingInvalid(RiverwatchError):
    """The value of a variable is unusable; the message names the variable, the value and what is expected."""


def _setting(default: Any, variable: str, doc: str, **bounds: int) -> Any:
    return field(default=default, metadata={"variable": variable, "doc": doc, "bounds": Bounds(**bounds)})


@dataclass(frozen=True, kw_only=True)
class ApiSettings:
    """The settings of an API process. Times are in seconds, sizes in bytes."""

    brokers: str = _setting("127.0.0.1:9092", "RIVERWATCH_BROKERS", "Kafka bootstrap servers, comma separated")
    prefix: str = _setting("riverwatch.", "RIVERWATCH_PREFIX", "prefix of Riverwatch's own topics")
    host: str = _setting("127.0.0.1", "RIVERWATCH_API_HOST", "the address the API listens on")
    port: int = _setting(
        9200, "RIVERWATCH_API_PORT", "the port the API listens on; 0 takes a free one", least=0, most=65_535
    )
    data: Path = _setting(Path("~/.local/share/riverwatch"), "RIVERWATCH_DATA", "folder of the results store")
    log_level: str = _setting("warning", "RIVERWATCH_LOG_LEVEL", "debug, info, warning or error")

    results_days: float = _setting(
        30.0, "RIVERWATCH_RESULTS_DAYS", "results older than this many days are dropped", most=36_500
    )
    results_bytes: int = _setting(
        20 * 1024**3,
        "RIVERWATCH_RESULTS_BYTES",
        "the results store drops its oldest results above this size",
        most=2**60,
    )
    retention_interval: float = _setting(
        5.0,
        "RIVERWATCH_RETENTION_INTERVAL",
        "how often results of deleted analyses are purged",
    )

    command_timeout: float = _setting(
        15.0, "RIVERWATCH_COMMAND_TIMEOUT", "how long a request waits for the outcome of its command"
    )
    request_timeout: float = _setting(60.0, "RIVERWATCH_REQUEST_TIMEOUT", "how long any request may take")
    node_silence: float = _setting(
        30.0,
        "RIVERWATCH_NODE_SILENCE",
        "a worker that has not reported for this long counts as gone; without any worker, that is the error of"
        " everything that should be running",
    )

    max_body_bytes: int = _setting(10 * 1024**2, "RIVERWATCH_MAX_BODY_BYTES", "the largest request body")
    max_arriving_bytes: int = _setting(
        64 * 1024**2,
        "RIVERWATCH_MAX_ARRIVING_BYTES",
        "incomplete request bodies of one client that are buffered; more are answered with 429",
    )
    body_timeout: float = _setting(
        30.0, "RIVERWATCH_BODY_TIMEOUT", "how long a request body may take to arrive; then 408"
    )
    max_concurrent_requests: int = _setting(
        256,
        "RIVERWATCH_MAX_CONCURRENT_REQUESTS",
        "concurrent requests; more are answered with 429. Requests that wait for their body or a password check do not"
        " count",
    )
    passwords_waiting: int = _setting(
        8,
        "RIVERWATCH_PASSWORDS_WAITING",
        "different passwords of one client that may be queued for their check; more are answered with 429",
    )
    max_clauses: int = _setting(1024, "RIVERWATCH_MAX_CLAUSES", "maximum number of clauses in a query")
    max_query_depth: int = _setting(
        30, "RIVERWATCH_MAX_QUERY_DEPTH", "maximum nesting depth of queries and aggregations"
    )
    max_buckets: int = _setting(65_535, "RIVERWATCH_MAX_BUCKETS", "maximum number of buckets in an answer")
    max_top_hits: int = _setting(
        100_000, "RIVERWATCH_MAX_TOP_HITS", "maximum number of hits that top_hits shows in all buckets of an answer"
    )
    max_search_seconds: float = _setting(
        30.0,
        "RIVERWATCH_MAX_SEARCH_SECONDS",
        "a search whose estimated computing time is longer is refused",
    )
    result_readers: int = _setting(
        4, "RIVERWATCH_RESULT_READERS", "concurrent searches of results; each may use several cores"
    )
    max_detectors: int = _setting(1000, "RIVERWATCH_MAX_DETECTORS", "maximum number of detectors", least=0)
    max_hc_detectors: int = _setting(
        1000, "RIVERWATCH_MAX_MULTI_ENTITY_DETECTORS", "maximum number of detectors with category fields", least=0
    )
    max_features: int = _setting(
        5, "RIVERWATCH_MAX_FEATURES", "maximum number of features of a detector, at most 10", most=10
    )
    category_field_limit: int = _setting(
        2, "RIVERWATCH_CATEGORY_FIELD_LIMIT", "maximum number of category fields of a detector", least=0
    )
    max_previews: int = _setting(2, "RIVERWATCH_MAX_PREVIEWS", "concurrent previews and single runs", least=0)
    preview_entities: int = _setting(
        5, "RIVERWATCH_PREVIEW_ENTITIES", "number of entities that a preview shows, largest first"
    )
    preview_results: int = _setting(
        1000, "RIVERWATCH_PREVIEW_RESULTS", "maximum number of results that a preview shows"
    )
    preview_timeout: float = _setting(
        55.0, "RIVERWATCH_PREVIEW_TIMEOUT", "how long a preview may take; keep it below the request timeout"
    )

    check_sources: bool = _setting(
        True,
        "RIVERWATCH_CHECK_SOURCES",
        "whether creating and updating a detector samples its topics' newest records",
    )
    source_sample: int = _setting(
        500, "RIVERWATCH_SOURCE_SAMPLE", "number of records that a sample reads of each partition"
    )
    source_timeout: float = _setting(5.0, "RIVERWATCH_SOURCE_TIMEOUT", "how long sampling may take")

    users: Path | None = _setting(None, "RIVERWATCH_USERS", "the file of users and roles")
    tls_certificate: Path | None = _setting(
        None, "RIVERWATCH_TLS_CERTIFICATE", "PEM file of the certificate; the API then uses TLS"
    )
    tls_key: Path | None = _setting(None, "RIVERWATCH_TLS_KEY", "PEM file of the certificate's key")
    tls_client_ca: Path | None = _setting(
        None, "RIVERWATCH_TLS_CLIENT_CA", "PEM file of a CA; clients then need a certificate signed by it"
    )

    schema_registry: Mapping[str, str] = field(
        default_factory=dict,
        metadata={
            "variable": PREFIX + "*",
            "doc": "passed on to confluent-kafka's client: RIVERWATCH_SCHEMA_REGISTRY_URL is url",
        },
    )
    kafka: Mapping[str, str] = field(
        default_factory=dict,
        metadata={
            "variable": KAFKA_PREFIX + "*",
            "doc": "passed to librdkafka: RIVERWATCH_KAFKA_SECURITY_PROTOCOL is security.protocol",
        },
    )

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if type(value) in (int, float) and not each.metadata["bounds"].hold(value):
                kind = "a whole number" if isinstance(each.default, int) else "a number"
                expected = f"{kind}, {each.metadata['bounds']}"
                raise SettingInvalid(f"{each.metadata['variable']}={value}: expected {expected}")
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise SettingInvalid("RIVERWATCH_TLS_CERTIFICATE and RIVERWATCH_TLS_KEY must be set together")
        if self.tls_client_ca is not None and self.tls_certificate is None:
            # Without TLS no client certificate would be required.
            raise SettingInvalid("RIVERWATCH_TLS_CLIENT_CA needs RIVERWATCH_TLS_CERTIFICATE and RIVERWATCH_TLS_KEY")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> ApiSettings:
        """Read the settings. Raises ``SettingInvalid`` for a value that cannot be used."""
        values: dict[str, Any] = {"kafka": _kafka(environment), "schema_registry": registry_settings(environment)}
        for each in fields(cls):
            text = environment.get(each.metadata["variable"])
            if text is not None and text != "":
                values[each.name] = _read(each.metadata["variable"], str(each.type), text)
        return cls(**values)

    def kafka_client(self) -> dict[str, str]:
        """The configuration that every Kafka client of the API begins with."""
        return {"bootstrap.servers": self.brokers, "client.id": "riverwatch-api", **self.kafka}


def _kafka(environment: Mapping[str, str]) -> dict[str, str]:
    return {
        name.removeprefix(KAFKA_PREFIX).lower().replace("_", "."): value
        for name, value in environment.items()
        if name.startswith(KAFKA_PREFIX)
    }


_TRUE, _FALSE = {"1", "true", "yes", "on"}, {"0", "false", "no", "off"}


def _read(variable: str, kind: str, text: str) -> Any:
    try:
        if kind == "bool":
            if text.lower() not in _TRUE | _FALSE:
                raise ValueError("true or false")
            return text.lower() in _TRUE
        if kind == "int":
            return int(text)
        if kind == "float":
            return float(text)
    except ValueError as error:
        expected = {"bool": "true or false", "int": "a whole number", "float": "a number"}[kind]
        raise SettingInvalid(f"{variable}={text!r}: expected {expected}") from error
    return Path(text) if kind.startswith("Path") else text
