from __future__ import annotations

import pytest

from api.kafka.source_topics import chosen
from schemas.errors import Refused

KNOWN = ["orders", "riverwatch.results", "__consumer_offsets"]


def test_patterns_leave_out_what_is_no_data() -> None:
    assert chosen(["*", "river*", "__*", "orders"], KNOWN, "riverwatch.") == ["orders"]


@pytest.mark.parametrize("name", ["order", "riverwatch.results", "__consumer_offsets"])
def test_a_name_that_no_topic_of_data_has_is_not_found(name: str) -> None:
    with pytest.raises(Refused) as refused:
        chosen(["orders", name], KNOWN, "riverwatch.")
    assert refused.value.status == 404
