"""What is wrong with a malformed text is said in Jackson's words, and only of malformed texts."""

from __future__ import annotations

import json

import orjson
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from api.http.json_text import Malformed, tokens

ENTRIES = "Unexpected end-of-input within/between"
MARKER = "Unexpected end-of-input: expected close marker for"
VALUES = "(JSON String, Number, Array, Object or token 'null', 'true' or 'false')"


def complaint(text: bytes) -> Malformed | None:
    try:
        list(tokens(text))
    except Malformed as malformed:
        return malformed
    return None


@pytest.mark.parametrize(
    ("text", "ended", "message"),
    [
        ("{", True, f"{MARKER} Object (start marker at "),
        ('{"a":1', True, f"{MARKER} Object (start marker at "),
        ('{"a":[1', True, f"{MARKER} Array (start marker at "),
        ('{"a":{"b":[]', True, f"{MARKER} Object (start marker at "),
        ('{"a":1,', False, f"{ENTRIES} Object entries"),
        ("[1, ", False, f"{ENTRIES} Array entries"),
        ('{"a"', True, f"{ENTRIES} Object entries"),
        ('{"a":', True, f"{ENTRIES} Object entries"),
        ('{"a', True, "Unexpected end-of-input in field name"),
        ('{"a":"b', True, "Unexpected end-of-input in VALUE_STRING"),
        ('{"a":1,}', False, "Unexpected character ('}' (code 125)): was expecting double-quote to start field name"),
        ("{a:1}", False, "Unexpected character ('a' (code 97)): was expecting double-quote to start field name"),
        (
            '{"a" 1}',
            False,
            "Unexpected character ('1' (code 49)): was expecting a colon to separate field name and value",
        ),
        (
            '{"a":1 "b":2}',
            False,
            "Unexpected character ('\"' (code 34)): was expecting comma to separate Object entries",
        ),
        ("[1 2]", False, "Unexpected character ('2' (code 50)): was expecting comma to separate Array entries"),
        ("[1,]", False, "Unexpected character (']' (code 93)): expected a value"),
        ('{"a":}', False, "Unexpected character ('}' (code 125)): expected a value"),
        ('{"a":]}', False, f"Unexpected character (']' (code 93)): expected a valid value {VALUES}"),
        ('{"a":1]', False, "Unexpected close marker ']': expected '}' (for Object starting at "),
        ("}", False, "Unexpected close marker '}': expected ']' (for root starting at "),
        ('{"a":tru}', False, f"Unrecognized token 'tru': was expecting {VALUES}"),
        ("nope", False, f"Unrecognized token 'nope': was expecting {VALUES}"),
        ('{"a":NaN}', False, "Non-standard token 'NaN': enable `JsonReadFeature.ALLOW_NON_NUMERIC_NUMBERS` to allow"),
        ('{"a":01}', False, "Invalid numeric value: Leading zeroes not allowed"),
        ('{"a":1.}', False, "Unexpected character ('}' (code 125)) in numeric value: Decimal point not followed by a"),
        (
            '{"a":-x}',
            False,
            "Unexpected character ('x' (code 120)) in numeric value: expected digit (0-9) to follow minus",
        ),
        (
            '{"a":"\n"}',
            False,
            "Illegal unquoted character ((CTRL-CHAR, code 10)): has to be escaped using backslash to",
        ),
        (r'{"a":"\x"}', False, "Unrecognized character escape 'x' (code 120)"),
        (r'{"a":"\u12g4"}', False, "Unexpected character ('g' (code 103)): expected a hex-digit for character escape"),
        ('{"a":€}', False, f"Unexpected character ('€' (code 8364 / 0x20ac)): expected a valid value {VALUES}"),
    ],
)
def test_the_words(text: str, ended: bool, message: str) -> None:
    malformed = complaint(text.encode())
    assert malformed is not None
    assert str(malformed).startswith(message)
    assert malformed.ended == ended


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@settings(max_examples=50)
@given(JSON)
def test_a_right_text_has_no_mistake_and_a_beginning_of_it_has_one(value: object) -> None:
    text = json.dumps([value]).encode()
    assert complaint(text) is None
    for end in range(1, len(text)):
        assert complaint(text[:end]) is not None


@settings(max_examples=200)
@given(JSON, st.data())
def test_what_orjson_takes_is_right(value: object, data: st.DataObject) -> None:
    text = bytearray(json.dumps([value], ensure_ascii=False).encode())
    at = data.draw(st.integers(0, len(text) - 1))
    text[at] = data.draw(st.sampled_from(b'{}[],:"\\ a1-.e\n'))
    assume(text.isascii() and b"\\u" not in text)  # half a surrogate pair, or half a character, is not looked at
    assert (complaint(bytes(text)) is None) == is_json(bytes(text))


def is_json(text: bytes) -> bool:
    """Whether a text begins with JSON: what follows the first value is not looked at."""
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError as error:
        assume("infinity" not in str(error))
        return "content after document" in str(error)
    return True
