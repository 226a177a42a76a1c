"""MessagePack: a map is a point, an array of them are several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from streams.formats.codec import Headers, Point, Unreadable
from streams.formats.plain import plain


class MessagePack:
    """The codec."""

    def read(self, value: bytes, headers: Headers) -> Sequence[Point | Unreadable]:
        """As ``Codec``.

        >>> MessagePack().read(bytes([0x81, 0xA1, 0x61, 0x01]), ())
        [{'a': 1}]
        """
        try:
            found = msgspec.msgpack.decode(value)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise Unreadable(f"no MessagePack: {str(error)[:200]}") from None
        points = found if isinstance(found, list) else [found]
        return [
            plain(point) if isinstance(point, Mapping) else Unreadable("a map is expected in MessagePack")
            for point in points
        ]
