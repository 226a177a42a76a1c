from __future__ import annotations

import pytest

from api.source import chosen
from schemas.errors import Refused

KNOWN = ["orders", "riverwatch.results", "__consumer_offsets"]


@pytest.mark.parametrize("name", ["riverwatch.results", "riverwatch.not-there", "__consumer_offsets"])
def test_own_topics_are_no_data_by_name_or_by_pattern(name: str) -> None:
    with pytest.raises(Refused, match="own topics") as refused:
        chosen(["orders", name], KNOWN, "riverwatch.")
    assert refused.value.status == 400
    assert chosen([name[:5] + "*", "*"], KNOWN, "riverwatch.") == ["orders"]


def test_a_name_that_no_topic_has_is_not_found() -> None:
    with pytest.raises(Refused) as refused:
        chosen(["order"], KNOWN, "riverwatch.")
    assert refused.value.status == 404
