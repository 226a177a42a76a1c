"""What common producers write is told apart, and read with the right values."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.query.values import field_values
from schemas.record_format import RECORD_FORMATS
from streams.formats.codec import Codec, Unreadable
from streams.formats.codecs import AnyFormat, codec_of
from streams.formats.json import read_document
from streams.formats.sniff import format_of, told_format
from streams.formats.time import to_time
from streams.formats.values import to_number
from streams.formats.written_schema import KnownSchemas, SchemasWanted
from tests.streams.formats.samples import AT, PRODUCERS, Producer, avro, framed, known_schemas, proto_class

VALUE = 12.25

EVERY = pytest.mark.parametrize("producer", PRODUCERS.values(), ids=PRODUCERS)


def read(codec: Codec | None, value: bytes, headers: Any = ()) -> list[Any]:
    """The points of a record."""
    found = value if codec is None else codec.read(value, headers)
    if isinstance(found, bytes):
        document = read_document(found)
        return document if isinstance(document, list) else [document]
    return list(found)


@EVERY
def test_the_format_is_told_from_the_records(producer: Producer) -> None:
    records = [producer.write(VALUE, AT + second * 1000) for second in range(5)]
    told = told_format([*records, (None, ()), (b"\xff\xfe?", ())])
    assert (told.format, told.points, told.others) == (producer.format, producer.points, 1)


@EVERY
def test_points_have_the_values_the_time_and_the_host(producer: Producer) -> None:
    codec = codec_of(producer.format, producer.points, known_schemas())  # type: ignore[arg-type]
    points = read(codec, *producer.write(VALUE, AT))
    assert points
    for point in points:
        (value,) = field_values(point, producer.value)
        (time,) = field_values(point, producer.time)
        assert to_number(value) == VALUE
        assert to_time(time) == AT
        assert field_values(point, producer.host) == ["a"]


@EVERY
def test_nobody_has_to_say_the_format_of_what_is_no_json(producer: Producer) -> None:
    value, headers = producer.write(VALUE, AT)
    if producer.format == "json":
        with pytest.raises(Unreadable):
            AnyFormat(known_schemas()).read(value, headers)
    else:
        codec = codec_of(producer.format, None, known_schemas())  # type: ignore[arg-type]
        assert read(AnyFormat(known_schemas()), value, headers) == read(codec, value, headers)


@EVERY
def test_what_is_cut_off_is_unreadable_or_less_and_nothing_else_is_raised(producer: Producer) -> None:
    value, headers = producer.write(VALUE, AT)
    codec = codec_of(producer.format, producer.points, known_schemas())  # type: ignore[arg-type]
    if codec is not None:
        for end in range(len(value)):
            with suppress(Unreadable):
                assert isinstance(codec.read(value[:end], headers), bytes | list)


@given(st.sampled_from(sorted(RECORD_FORMATS)), st.binary(max_size=60), st.integers(0, 60), st.data())
def test_damaged_bytes_raise_nothing_else(format_: Any, noise: bytes, at: int, data: st.DataObject) -> None:
    producers = [producer for producer in PRODUCERS.values() if producer.format == format_]
    value, headers = data.draw(st.sampled_from(producers)).write(VALUE, AT)
    for damaged in (noise, value[:at] + noise + value[at:], value[:at] + noise + value[at + len(noise) :]):
        format_of(damaged, headers)
        codec = codec_of(format_, "metrics", known_schemas())
        try:
            found = b"" if codec is None else codec.read(damaged, headers)
        except (Unreadable, SchemasWanted):
            continue
        assert isinstance(found, bytes) or all(isinstance(each, dict | Unreadable) for each in found)


@pytest.mark.parametrize("value", [b"", b" ", b"hello", b"hello world\n", b"\xff", b"\x00\x00", b"5", b"null", b"# x"])
def test_what_is_in_no_format_is_told_as_such(value: bytes) -> None:
    assert format_of(value, ()) is None


# -- schemas ----------------------------------------------------------------------------------------------------------


def test_records_of_several_versions_of_a_schema_are_read_each_with_its_own() -> None:
    codec = codec_of("confluent", None, known_schemas())
    old = read(codec, *avro(1.5, AT))
    new = read(codec, *avro(2.5, AT, id=2, unit="K"))
    assert (old, new) == ([{"host": "a", "at": AT, "value": 1.5}], [{"host": "a", "at": AT, "value": 2.5, "unit": "K"}])


def test_a_schema_that_is_not_known_yet_is_wanted_and_then_read() -> None:
    known = KnownSchemas()
    codec = codec_of("confluent", None, known)
    value, _ = avro(1.5, AT)
    with pytest.raises(SchemasWanted) as wanted:
        read(codec, value)
    assert wanted.value.ids == {1}
    known.refuse(1, "the registry has no schema 1")
    with pytest.raises(Unreadable, match="the registry has no schema 1"):
        read(codec, value)
    known = known_schemas()
    assert read(codec_of("confluent", None, known), value)[0]["value"] == 1.5


def test_messages_inside_of_others_and_fields_at_zero_are_read() -> None:
    codec = codec_of("confluent", None, known_schemas())
    inner = proto_class("Reading.Inner")(n=5).SerializeToString()
    assert read(codec, framed(3, bytes([4, 2, 0]) + inner)) == [{"n": 5}]
    assert read(codec, framed(3, bytes([2, 2]))) == [{"host": "", "value": 0.0, "count": 0}]
    assert read(codec, framed(3, bytes([0]))) == [{}]


def test_bytes_of_another_schema_are_told() -> None:
    with pytest.raises(Unreadable, match="not written with schema 1"):
        read(codec_of("confluent", None, known_schemas()), framed(1, b"\x01"))


# -- the others -------------------------------------------------------------------------------------------------------


def test_several_lines_are_several_points_and_a_bad_one_costs_only_itself() -> None:
    lines = b'cpu,host=a\\ b,x\\=y=1 usage=0.5,s="a \\"b\\", c\nd",n=-3i,u=7u,up=t 1795489205\n\n# n\nbad\nmem free=1e3'
    one, bad, two = read(codec_of("line-protocol", None, KnownSchemas()), lines)
    assert one == {
        "name": "cpu",
        "tags": {"host": "a b", "x=y": "1"},
        "fields": {"usage": 0.5, "s": 'a "b", c\nd', "n": -3, "u": 7, "up": True},
        "timestamp": 1_795_489_205,
    }
    assert isinstance(bad, Unreadable)
    assert two == {"name": "mem", "tags": {}, "fields": {"free": 1000.0}}


def test_points_take_along_what_their_record_has_beside_them() -> None:
    codec = codec_of("json", "a.list", KnownSchemas())
    record = b'{"host": "h", "v": 0, "a": {"list": [{"v": 1}, 5, {"v": 2}]}}'
    one, bad, two = read(codec, record)
    assert (one, two) == ({"host": "h", "v": 1}, {"host": "h", "v": 2})
    assert isinstance(bad, Unreadable)
    assert read(codec, b'{"v": 3}') == [{"v": 3}]


def test_a_delete_of_debezium_has_no_row_and_a_tombstone_is_nothing() -> None:
    codec = codec_of("connect", None, KnownSchemas())
    schema = b'{"type": "struct", "fields": []}'
    (point,) = read(codec, b'{"schema": %s, "payload": {"before": {"id": 1}, "after": null, "op": "d"}}' % schema)
    assert field_values(point, "payload.after.price") == []
    assert field_values(point, "payload.op") == ["d"]
    assert read(codec, b'{"schema": %s, "payload": null}' % schema) == []


def test_an_event_with_data_in_base64_is_read() -> None:
    value = b'{"specversion": "1.0", "time": "2026-11-24T03:00:05Z", "data_base64": "eyJ2IjogMX0="}'
    assert format_of(value, ()) == "cloudevents"
    assert read(codec_of("cloudevents", None, KnownSchemas()), value)[0]["data"] == {"v": 1}


def test_messagepack_with_names_and_values_that_json_has_not() -> None:
    packed = msgpack.packb([{b"v": 1, "b": b"x", "n": float("nan"), "t": msgpack.Timestamp(1)}])
    assert read(codec_of("messagepack", None, KnownSchemas()), packed) == [{"v": 1, "b": "eA==", "n": "nan", "t": 1000}]
