"""The AsyncAPI 3 document of Riverwatch's topics, made from the table of topics and the types of their records."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterable, Iterator
from typing import Any, get_args

import msgspec

from schemas.deadletter import HEADERS, DeadLetter
from schemas.topics import TOPICS, Topic

_REFERENCE = "#/components/schemas/{name}"


def document(prefix: str, topics: Iterable[Topic] = TOPICS.values()) -> dict[str, Any]:
    """The whole document, for topics whose names begin with ``prefix``. Riverwatch is the application described.

    >>> made = document("riverwatch.")
    >>> made["channels"]["results"]["address"], made["operations"]["receive_control"]["reply"]
    ('riverwatch.results', {'channel': {'$ref': '#/channels/replies'}})
    """
    topics = list(topics)
    types = {topic.name: list(payload_types(topic)) for topic in topics}
    structs = list(dict.fromkeys(each for found in types.values() for each in found if each is not DeadLetter))
    schemas, components = msgspec.json.schema_components(structs, ref_template=_REFERENCE)
    for schema in components.values():
        if "description" in schema:
            schema["description"] = inspect.cleandoc(schema["description"])
    payloads = dict(zip(structs, schemas, strict=True))
    messages = {
        f"{topic.name}.{_name(each)}": _message(topic, each, payloads.get(each))
        for topic in topics
        for each in types[topic.name]
    }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Riverwatch",
            "version": "1",
            "description": "Anomaly detection on Kafka topics. Commands are read from control, outcomes are sent to"
            " replies, results to results and anomalies; what is left is Riverwatch's own state.",
        },
        "defaultContentType": "application/json",
        "channels": {topic.name: _channel(topic, prefix, types[topic.name]) for topic in topics},
        "operations": dict(_operations(topics)),
        "components": {"messages": messages, "schemas": components},
    }


def payload_types(topic: Topic) -> Iterator[type]:
    """The types of a topic's records, one for each member of a union; one without a module is of the module before.

    >>> [each.__name__ for each in payload_types(TOPICS["state"])]
    ['StoredJob', 'StoredTask', 'Position']
    """
    module = ""
    for each in topic.payload.split(" | "):
        named, _, name = each.rpartition(".")
        module = named or module
        found = getattr(importlib.import_module(module), name)
        yield from get_args(found) or (found,)


def _name(payload: type) -> str:
    """What a message is called: the ``type`` that is written in it where there is one."""
    tag = getattr(getattr(payload, "__struct_config__", None), "tag", None)
    return str(tag) if tag is not None else payload.__name__


def _channel(topic: Topic, prefix: str, types: list[type]) -> dict[str, Any]:
    config: dict[str, Any] = {
        "cleanup.policy": ["compact" if topic.compact else "delete"],
        "max.message.bytes": topic.max_message_bytes,
    }
    if topic.retention_ms is not None:
        config["retention.ms"] = topic.retention_ms
    binding: dict[str, Any] = {"topicConfiguration": config, "bindingVersion": "0.5.0"}
    if topic.sizing == "one":
        binding["partitions"] = 1
    names = [_name(each) for each in types]
    return {
        "address": topic.full_name(prefix),
        "description": f"{topic.carries}; written by {topic.writer}",
        "messages": {name: {"$ref": f"#/components/messages/{topic.name}.{name}"} for name in names},
        "bindings": {"kafka": binding},
    }


def _message(topic: Topic, payload: type, schema: dict[str, Any] | None) -> dict[str, Any]:
    message: dict[str, Any] = {
        "name": _name(payload),
        "summary": (payload.__doc__ or "").strip().partition("\n")[0],
        "bindings": {"kafka": {"key": {"type": "string", "description": topic.key}, "bindingVersion": "0.5.0"}},
    }
    if schema is None:
        headers = {name: {"type": "string"} for name in HEADERS}
        return message | {
            "contentType": "application/octet-stream",
            "headers": {"type": "object", "properties": headers},
            "payload": {"description": "the bytes as they came, of a large record the first ones"},
        }
    packed = payload.__struct_config__.array_like  # type: ignore[attr-defined]
    return message | {"contentType": "application/msgpack" if packed else "application/json", "payload": schema}


def _operations(topics: Iterable[Topic]) -> Iterator[tuple[str, dict[str, Any]]]:
    for topic in topics:
        channel = {"$ref": f"#/channels/{topic.name}"}
        yield f"send_{topic.name}", {"action": "send", "channel": channel, "summary": f"Write {topic.carries}"}
        if topic.name == "control":
            reply = {"channel": {"$ref": "#/channels/replies"}}
            summary = "Carry out a command"
            yield "receive_control", {"action": "receive", "channel": channel, "summary": summary, "reply": reply}
