"""Reasons: a sentence for each code, and bands of what is known."""

from __future__ import annotations

import math

from schemas.reason import CODES, Band, bands, sentence


def test_each_code_has_a_sentence_that_names_the_feature_and_its_value() -> None:
    sentences = {sentence(code, "cpu", 12.5, 41.7, 9) for code in CODES}
    assert len(sentences) == len(CODES)
    assert all("cpu" in one and "12.5" in one for one in sentences)
    assert sentence("STANDS_STILL", "cpu", 12.5, 41.7, 9) == "cpu has not moved for 9 windows: 12.5"


def test_a_band_that_is_unknown_is_left_out() -> None:
    assert bands(["a", "b"], [1.0, math.nan], [2.0, 3.0]) == [Band("a", 1.0, 2.0)]
