from __future__ import annotations

from schemas.deadletter import HEADERS, MOST_KEY_BYTES, MOST_VALUE_BYTES, DeadLetter

KAFKA_DEFAULT = 1_048_588
"""What a topic of Kafka takes unless it is told otherwise (``max.message.bytes``)."""


def letter(key: bytes | None, value: bytes | None, detail: str = "why") -> DeadLetter:
    return DeadLetter("m", 3, 7, "malformed-json", detail, key, value, ("d",))


def test_what_is_not_large_stays_as_it_came() -> None:
    for key, value in [(b"k" * MOST_KEY_BYTES, b"v" * MOST_VALUE_BYTES), (b"", b""), (None, None)]:
        made = letter(key, value)
        assert (made.key, made.value) == (key, value)
        assert [name for name, _ in made.headers()] == list(HEADERS[:-2])


def test_a_large_value_is_cut_off_and_its_length_is_told() -> None:
    made = letter(b"k", b"v" * MOST_VALUE_BYTES + b"w")
    assert (made.key, made.value) == (b"k", b"v" * MOST_VALUE_BYTES)
    assert made.headers()[6:] == [("riverwatch.bytes", b"900001")]


def test_a_large_key_is_cut_off_and_its_length_is_told() -> None:
    made = letter(b"k" * MOST_KEY_BYTES + b"l", b"v")
    assert (made.key, made.value) == (b"k" * MOST_KEY_BYTES, b"v")
    assert made.headers()[6:] == [("riverwatch.key_bytes", b"100001")]


def test_the_largest_letter_fits_into_a_record_of_kafkas_default_size() -> None:
    made = DeadLetter(
        "t" * 249, 2**31, 2**63, "time-too-far-ahead", "é" * 10**6, b"k" * 10**6, b"v" * 10**7, ("d" * 512,)
    )
    size = len(made.key or b"") + len(made.value or b"") + sum(len(n) + len(v) + 10 for n, v in made.headers())
    assert len(made.headers()) == len(HEADERS)
    assert size < KAFKA_DEFAULT - 1_000
