# ruff: noqa: E501 -- the page's lines are as wide as its tables
"""Writes docs/settings.md from the settings themselves: ``python -m tests.settings_page``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Any

from api.settings import ApiSettings
from deploy.api_client.settings import VARIABLE, ClientSettings
from streams.settings import Settings as WorkerSettings

PAGE = Path(__file__).parent.parent / "docs" / "settings.md"

HEAD = """# Settings

Every setting is an environment variable; many are flags of the commands as well (`riverwatch COMMAND --help`), and flags
win. A value that can't be used ends the command with exit code 2 and the variable's name.

`RIVERWATCH_BROKERS` points to an existing Kafka. Its security settings are passed through: each variable that begins with
`RIVERWATCH_KAFKA_` becomes the client property of the rest of its name in lower case with dots, so
`RIVERWATCH_KAFKA_SECURITY_PROTOCOL=SASL_SSL` is `security.protocol=SASL_SSL`. Workers understand `security.protocol`,
`sasl.mechanism` (PLAIN, SCRAM-SHA-256, SCRAM-SHA-512), `sasl.username`, `sasl.password`, `ssl.ca.location`,
`ssl.certificate.location`, `ssl.key.location` and `ssl.key.password`; the API and the commands pass everything to librdkafka.

`RIVERWATCH_SCHEMA_REGISTRY_URL` points workers and the API to a schema registry in Confluent's shape. The other variables that begin with
`RIVERWATCH_SCHEMA_REGISTRY_` become properties of confluent-kafka's client for registries in the same way, such as
`RIVERWATCH_SCHEMA_REGISTRY_BASIC_AUTH_USER_INFO` (`name:password`), `..._BEARER_AUTH_TOKEN`, `..._SSL_CA_LOCATION`,
`..._SSL_CERTIFICATE_LOCATION` and `..._SSL_KEY_LOCATION`.
"""

ELSEWHERE = """## Local Kafka and tests

| variable | default | meaning |
|---|---|---|
| `RIVERWATCH_JAVA` |  | The `java` to run the local Kafka with, instead of the one that comes as a package or the system's. |
| `XDG_CACHE_HOME` | `~/.cache` | Kafka's jars are kept below it, in `riverwatch/`. |
| `RIVERWATCH_TEST_BROKERS` |  | An existing Kafka for the tests, instead of one that they start. |
"""


def render() -> str:
    """The page."""
    return "\n".join(
        [
            HEAD,
            *_table("Workers", _worker()),
            *_table("API", _api()),
            *_table("Commands that ask the API", _client()),
            ELSEWHERE,
        ]
    )


def _table(title: str, rows: Iterator[tuple[str, str, str]]) -> Iterator[str]:
    yield f"## {title}\n"
    yield "| variable | default | meaning |\n|---|---|---|"
    for variable, default, text in rows:
        yield f"| `{variable}` | {default} | {text} |"
    yield ""


def _worker() -> Iterator[tuple[str, str, str]]:
    for entry in fields(WorkerSettings):
        if entry.name not in ("kafka", "schema_registry"):
            yield "RIVERWATCH_" + entry.name.upper(), _default(entry), entry.metadata["text"]


def _api() -> Iterator[tuple[str, str, str]]:
    for entry in fields(ApiSettings):
        if "variable" in entry.metadata and not entry.metadata["variable"].endswith("*"):
            yield (
                entry.metadata["variable"],
                _default(entry),
                entry.metadata["doc"][0].upper() + entry.metadata["doc"][1:] + ".",
            )


def _client() -> Iterator[tuple[str, str, str]]:
    for entry in fields(ClientSettings):
        yield VARIABLE + entry.name.upper(), _default(entry), entry.metadata["doc"] + "."


def _default(entry: Field[Any]) -> str:
    value = entry.default
    if value is MISSING or value is None or value == "":
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


if __name__ == "__main__":
    PAGE.write_text(render())
