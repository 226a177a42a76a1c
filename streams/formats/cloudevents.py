"""CloudEvents over Kafka: https://github.com/cloudevents/spec/blob/main/cloudevents/bindings/kafka-protocol-binding.md.

In binary mode the attributes are headers; a point looks as it does in structured mode, with what happened in ``data``.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any

from streams.formats.codec import Headers, Point, Unreadable
from streams.formats.json import UNREADABLE, complaint, read_document

PREFIX = "ce_"
VERSION = "ce_specversion"


class CloudEvents:
    """The codec of both modes."""

    def read(self, value: bytes, headers: Headers) -> bytes | Sequence[Point | Unreadable]:
        """As ``Codec``: JSON, except where the data are base64.

        >>> CloudEvents().read(b'{"v": 1}', [("ce_specversion", b"1.0"), ("ce_source", b"/a")])
        b'{"specversion":"1.0","source":"/a","data":{"v": 1}}'
        """
        attributes = {
            name.removeprefix(PREFIX): content.decode(errors="replace")
            for name, content in headers
            if name.startswith(PREFIX) and content is not None
        }
        if attributes:
            begun = json.dumps(attributes, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")
            return begun[:-1] + b',"data":' + (value.strip() or b"null") + b"}"
        if b'"data_base64"' not in value:
            return value
        try:
            document = read_document(value)
        except UNREADABLE as error:
            raise Unreadable(complaint(value, error)) from None
        return [_decoded(each) for each in (document if isinstance(document, list) else [document])]


def _decoded(event: Any) -> Point | Unreadable:
    if not isinstance(event, Mapping):
        return Unreadable("a JSON object is expected")
    try:
        data = read_document(base64.b64decode(event["data_base64"])) if "data_base64" in event else event.get("data")
    except UNREADABLE:
        return Unreadable("the event's data_base64 holds no JSON")
    return {**{name: member for name, member in event.items() if name != "data_base64"}, "data": data}
