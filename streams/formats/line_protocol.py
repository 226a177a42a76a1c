"""InfluxDB line protocol, Telegraf's default: https://docs.influxdata.com/influxdb/v2/reference/syntax/line-protocol/."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from streams.formats.codec import Headers, Point, Unreadable
from streams.formats.plain import plain

_NAME = r"(?:[^, \n\\]|\\.)+"
_KEY = r"(?:[^,= \n\\]|\\.)+"
_VALUE = r'(?:"(?:[^"\\]|\\.)*"|[^, \n"][^, \n]*)'
_PAIR = re.compile(rf"({_KEY})=({_VALUE})", re.DOTALL)
_TAG = re.compile(rf",({_KEY})=({_KEY})", re.DOTALL)
_LINE = re.compile(
    rf"({_NAME})((?:,{_KEY}={_KEY})*) +({_KEY}={_VALUE}(?:,{_KEY}={_VALUE})*)(?: +(-?\d+))? *\r?(?:\n|\Z)", re.DOTALL
)
_ESCAPED = re.compile(r"\\([,= ])")
_ESCAPED_TEXT = re.compile(r'\\(["\\])')
_BOOLEANS = {
    **dict.fromkeys(("t", "T", "true", "True", "TRUE"), True),
    **dict.fromkeys(("f", "F", "false", "False", "FALSE"), False),
}


class LineProtocol:
    """The codec. A line is a point in the shape of Telegraf's JSON: ``name``, ``tags``, ``fields``, ``timestamp``."""

    def read(self, value: bytes, headers: Headers) -> Sequence[Point | Unreadable]:
        r"""As ``Codec``.

        >>> LineProtocol().read(b"cpu,host=a\\ b n=3i,up=t 1795489200\n", ())
        [{'name': 'cpu', 'tags': {'host': 'a b'}, 'fields': {'n': 3, 'up': True}, 'timestamp': 1795489200}]
        """
        try:
            text = value.decode()
        except UnicodeDecodeError:
            raise Unreadable("no line protocol: the bytes are no UTF-8") from None
        points: list[Point | Unreadable] = []
        start = 0
        while start < len(text):
            if text[start] in "#\n\r ":
                end = text.find("\n", start)
                if text[start] == "#" or not text[start : end if end >= 0 else None].strip():
                    start = len(text) if end < 0 else end + 1
                    continue
            line = _LINE.match(text, start)
            if line is not None:
                points.append(_point(line))
                start = line.end()
            else:
                end = text.find("\n", start)
                end = len(text) if end < 0 else end
                points.append(Unreadable(f"no line protocol: {text[start : min(end, start + 60)]!r}"))
                start = end + 1
        if not points:
            raise Unreadable("the record holds no line")
        return points


def _point(line: re.Match[str]) -> Point | Unreadable:
    name, tags, fields, time = line.groups()
    try:
        found: dict[str, Any] = {
            "name": _plain(name),
            "tags": {_plain(key): _plain(value) for key, value in _TAG.findall(tags)},
            "fields": {_plain(key): _value(value) for key, value in _PAIR.findall(fields)},
        }
    except ValueError:
        return Unreadable(f"no line protocol: a field is neither number, text nor boolean: {fields[:60]!r}")
    return found if time is None else {**found, "timestamp": int(time)}


def _plain(text: str) -> str:
    return _ESCAPED.sub(r"\1", text) if "\\" in text else text


def _value(text: str) -> Any:
    if text[0] == '"':
        return _ESCAPED_TEXT.sub(r"\1", text[1:-1])
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    return int(text[:-1]) if text[-1] in "iu" else plain(float(text))
