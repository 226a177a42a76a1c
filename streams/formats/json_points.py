"""JSON whose points lie in an array inside the record, such as Telegraf's batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from schemas.query.values import field_values
from streams.formats.codec import Headers, Point, Unreadable
from streams.formats.json import UNREADABLE, complaint, read_document


class JsonPoints:
    """The codec: the objects at ``path``, each with the members that the record has beside them.

    A record without anything at the path is a point itself.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._head = path.partition(".")[0]

    def read(self, value: bytes, headers: Headers) -> Sequence[Point | Unreadable]:
        """As ``Codec``.

        >>> JsonPoints("metrics").read(b'{"host": "a", "metrics": [{"v": 1}, {"v": 2}]}', ())
        [{'host': 'a', 'v': 1}, {'host': 'a', 'v': 2}]
        """
        try:
            document = read_document(value)
        except UNREADABLE as error:
            raise Unreadable(complaint(value, error)) from None
        return [
            point for each in (document if isinstance(document, list) else [document]) for point in self._points(each)
        ]

    def _points(self, document: object) -> list[Point | Unreadable]:
        if not isinstance(document, Mapping):
            return [Unreadable("a JSON object is expected")]
        inside = field_values(document, self._path)
        if not inside:
            return [document]
        outside = {name: value for name, value in document.items() if name not in (self._head, self._path)}
        return [
            {**outside, **each} if isinstance(each, Mapping) else Unreadable(f"an object is expected in {self._path}")
            for each in inside
        ]
