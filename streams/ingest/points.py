"""From records to points: what each record of a topic holds, read fast where it is as expected, slowly where not."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import numpy as np
import numpy.typing as npt

from schemas.deadletter import DeadLetter, Reason
from schemas.kafka_fields import is_kafka_field
from schemas.query.values import field_values
from streams.formats.codec import Codec, Unreadable
from streams.formats.json import UNREADABLE, complaint, read_document
from streams.formats.kafka_value import kafka_value
from streams.formats.sniff import format_of
from streams.formats.values import only, shown
from streams.ingest.layout import Layout

Int64Array = npt.NDArray[np.int64]

UNSTAMPED = 2**62
"""Stands for the Kafka timestamp of a record that has none: later than every event time, so that it limits nothing."""

_offset = attrgetter("offset")
_value = attrgetter("value")
_timestamp = attrgetter("timestamp")


class Odd:
    """A point that the fast way could not read: judged value by value, for each plan by itself."""

    __slots__ = ("document",)

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.document = document

    def get(self, path: str) -> Any:
        """The value of a path: None for nothing, a list where there are several."""
        return only(field_values(self.document, path))


@dataclass(frozen=True)
class Points:
    """The points of one call: ``indices``, ``offsets`` and Kafka timestamps (``written``, epoch ms) of the records they
    come from, places of the odd ones.

    ``plain`` are the points once more, blank in place of the odd ones. ``getters`` get the values of a path from these.
    """

    origin: Origin
    getters: Mapping[str, Callable[[Any], Any]]
    points: Sequence[Any]
    indices: Int64Array
    offsets: Int64Array
    written: Int64Array
    odd: Sequence[int]
    plain: Sequence[Any]

    def get(self, path: str) -> list[Any]:
        """The values of a path: None for nothing, a list where there are several."""
        values = self.of_plain(path)
        for place in self.odd if not is_kafka_field(path) else ():
            values[place] = self.points[place].get(path)
        return values

    def of_plain(self, path: str) -> list[Any]:
        """As ``get``, with None for the odd points where the field lies in the record's value."""
        if is_kafka_field(path):
            records, partition = self.origin.records, self.origin.partition
            return [kafka_value(records[index], partition, path) for index in self.indices.tolist()]
        return list(map(self.getters[path], self.plain))


@dataclass(frozen=True)
class Origin:
    """Where the points of one call come from."""

    topic: str
    partition: int
    records: Sequence[Any]

    def letter(self, index: int, reason: Reason, detail: str, owners: tuple[str, ...] = ()) -> DeadLetter:
        """The dead letter of a record."""
        record = self.records[index]
        return DeadLetter(self.topic, self.partition, record.offset, reason, detail, record.key, record.value, owners)


class PointReader:
    """Reads the points of the records of one topic.

    ``codec`` reads what is no JSON, None where all are; ``otherwise`` reads what turns out to be none, None for
    nothing.
    """

    def __init__(self, layout: Layout, codec: Codec | None = None, otherwise: Codec | None = None) -> None:
        self._layout = layout
        self._codec = codec
        self._otherwise = otherwise

    def points(self, origin: Origin, letters: list[DeadLetter]) -> Points:
        """The points of one fetch; what is none goes to ``letters``. Raises ``SchemasWanted``."""
        records = origin.records
        offsets = np.fromiter(map(_offset, records), np.int64, len(records))
        written = _written(records)
        others: dict[int, list[Any]] = {}
        values: Sequence[bytes | None] | None = None
        if self._codec is not None:
            values, others = self._json_of(self._codec, origin, letters)
        # No list of what the records hold already: it would cost a twentieth of the decoding.
        read, unread = self._read(lambda: map(_value, records) if values is None else iter(values), len(records))
        if not unread:
            return Points(origin, self._layout.getters, read, np.arange(len(records)), offsets, written, (), read)
        points: list[Any] = []
        plain: list[Any] = []
        indices: list[int] = []
        start = 0
        for index in unread:
            value = records[index].value if values is None else values[index]
            found = others[index] if index in others else list(self._one(index, value, origin, letters))
            points += [*read[start:index], *found]
            plain += [*read[start:index], *(self._layout.blank if type(each) is Odd else each for each in found)]
            indices += [*range(start, index), *[index] * len(found)]
            start = index + 1
        points += read[start:]
        plain += read[start:]
        at = np.array([*indices, *range(start, len(records))], np.int64)
        odd = [place for place, point in enumerate(points) if type(point) is Odd]
        return Points(origin, self._layout.getters, points, at, offsets[at], written[at], odd, plain)

    def _json_of(
        self, codec: Codec, origin: Origin, letters: list[DeadLetter]
    ) -> tuple[list[bytes | None], dict[int, list[Any]]]:
        """The JSON that the records hold, None for those that hold none, and the points of these."""
        values: list[bytes | None] = []
        points: dict[int, list[Any]] = {}
        for index, record in enumerate(origin.records):
            found = None if record.value is None else self._decoded(codec, index, origin, letters)
            if isinstance(found, list):
                points[index] = found
            values.append(None if isinstance(found, list) else found)
        return values, points

    def _decoded(self, codec: Codec, index: int, origin: Origin, letters: list[DeadLetter]) -> bytes | list[Any]:
        record = origin.records[index]
        try:
            found = codec.read(record.value, record.headers or ())
        except Unreadable as error:
            letters.append(origin.letter(index, "malformed-record", str(error)))
            return []
        if isinstance(found, bytes):
            return found
        bad = [point for point in found if isinstance(point, Unreadable)]
        if bad:
            letters.append(origin.letter(index, "malformed-record", f"{bad[0]}{more_points(len(bad) - 1)}"))
        return [self._point(point) for point in found if not isinstance(point, Unreadable)]

    def _point(self, document: Mapping[str, Any]) -> Any:
        if not self._layout.whole and self._layout.hidden is None:
            try:
                return self._layout.convert(document)
            except UNREADABLE:
                pass
        return Odd(document)

    def _read(self, values: Callable[[], Iterator[bytes | None]], size: int) -> tuple[list[Any], list[int]]:
        """The values as the layout reads them, blank where it can't, and which ones those are."""
        blank = self._layout.blank
        if self._layout.whole:
            return [blank] * size, list(range(size))
        read: list[Any] = []
        unread: list[int] = []
        rest = map(self._layout.decode, values())  # type: ignore[arg-type]
        while True:
            try:
                # What was read before an error stays in the list, and the next attempt goes on behind it.
                read.extend(rest)
            except (*UNREADABLE, TypeError):
                unread.append(len(read))
                read.append(blank)
            else:
                break
        # One look at all of them together: nearly always there is none.
        if self._layout.hidden is not None and self._hidden(b"\n".join(filter(None, values()))):
            found = [index for index, value in enumerate(values()) if value and self._hidden(value)]
            for index in found:
                read[index] = blank
            unread = sorted({*unread, *found})
        return read, unread

    def _hidden(self, value: bytes) -> bool:
        return self._layout.hidden is not None and self._layout.hidden.search(value) is not None

    def _one(self, index: int, value: bytes | None, origin: Origin, letters: list[DeadLetter]) -> Iterator[Any]:
        if value is None:
            return
        if value.lstrip()[:1] == b"[" and not self._layout.whole and not self._hidden(value):
            try:
                yield from self._layout.decode_many(value)
                return
            except UNREADABLE:
                pass
        try:
            document = read_document(value)
        except UNREADABLE as error:
            yield from self._of_another_format(index, value, error, origin, letters)
            return
        found = document if isinstance(document, list) else [document]
        others = [point for point in found if not isinstance(point, dict)]
        if others:
            detail = f"a JSON object is expected, not {shown(others[0])}" + more_points(len(others) - 1)
            letters.append(origin.letter(index, "not-an-object", detail))
        yield from (Odd(point) for point in found if isinstance(point, dict))

    def _of_another_format(
        self, index: int, value: bytes, error: Exception, origin: Origin, letters: list[DeadLetter]
    ) -> Iterator[Any]:
        if self._otherwise is None or format_of(value, ()) is None:
            letters.append(origin.letter(index, "malformed-json", complaint(value, error)))
            return
        found = self._decoded(self._otherwise, index, origin, letters)
        if isinstance(found, bytes):
            yield from self._one(index, found, origin, letters)
        else:
            yield from found


def _written(records: Sequence[Any]) -> Int64Array:
    """The Kafka timestamps of records; ``UNSTAMPED`` for those that have none.

    There is none in Kafka's oldest format of records, and a producer may write anything, such as -1 or 0.
    """
    try:
        written = np.fromiter(map(_timestamp, records), np.int64, len(records))
    except TypeError:
        stamps = [-1 if stamp is None else stamp for stamp in map(_timestamp, records)]
        written = np.array(stamps, np.int64)
    return np.where((written > 0) & (written < UNSTAMPED), written, UNSTAMPED)


def more_points(count: int) -> str:
    """Behind the detail of a dead letter: how many more points of its record are as bad.

    >>> more_points(0), more_points(1)
    ('', ' (and 1 more of its points)')
    """
    return f" (and {count:,} more of its points)" if count else ""
