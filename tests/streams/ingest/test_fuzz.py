"""Whatever a record holds and whichever detectors share its topic: nothing raises, and its outcome is its own."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from schemas.errors import Refused
from schemas.query import compile_query, parse_query
from streams.features.plan import Plan
from streams.formats.json import read_document
from streams.ingest.decode import Decoded, Decoder
from streams.ingest.entities import NO_ENTITY
from streams.ingest.windows import RunWindows
from tests.schemas.documents import parsed
from tests.schemas.foreign import DETECTORS, FILTERS, OBJECTS, RECORDS
from tests.streams.ingest.plans import Record, decode, decoder, plan, records

pytestmark = pytest.mark.thorough


def accepted(document: dict[str, Any]) -> bool:
    """Whether somebody may have such a detector."""
    try:
        parsed(**document)
    except Refused:
        return False
    return True


TOPICS = (
    st.sampled_from([1, 2, 2, 3])
    .flatmap(lambda count: st.lists(DETECTORS.filter(accepted), min_size=count, max_size=count))
    .map(lambda documents: [plan(owner=f"d{number}", **document) for number, document in enumerate(documents)])
)
"""The plans of the detectors on one topic."""

STAMPS = st.sampled_from([2_000_000_000_000, 2_000_000_000_000, 5_000, 0, -1, 2**63 - 1, -(2**63)])
"""Kafka timestamps, as producers write them."""

STREAMS = st.lists(st.tuples(RECORDS, STAMPS), min_size=1, max_size=6).map(
    lambda pairs: [Record(offset, value, timestamp=stamp) for offset, (value, stamp) in enumerate(pairs)]
)


def outcomes(reader: Decoder, stream: Sequence[Record]) -> list[tuple[Any, ...]]:
    """What becomes of each record for each owner, in an order that depends on nothing else."""
    decoded = reader.decode("m", 0, stream)
    found: list[tuple[Any, ...]] = [
        (letter.offset, detector, letter.reason)
        for letter in decoded.dead_letters
        for detector in letter.detectors or ("",)
    ]
    for owner, batch in decoded.batches.items():
        for place, offset in enumerate(batch.offsets.tolist()):
            code = batch.entities[place]
            values = tuple(column[place].tobytes() for column in batch.values.values())
            again = batch.again is not None and bool(batch.again[place])
            name = None if code == NO_ENTITY else batch.table.names[code]
            found.append((offset, owner, "", int(batch.times[place]), name, values, again))
    return sorted(found, key=lambda each: each[:2])


def unexpected(decoded: Decoded) -> list[str]:
    """The exceptions that nobody had thought of."""
    return [letter.detail for letter in decoded.dead_letters if letter.reason == "undecodable"]


@settings(max_examples=200)
@given(TOPICS, STREAMS)
def test_no_record_raises_anywhere_on_the_way_to_a_feature(plans: list[Plan], values: list[Record]) -> None:
    reader = decoder(*plans)
    decoded = reader.decode("m", 0, values)
    assert unexpected(decoded) == []
    offsets = {letter.offset for letter in decoded.dead_letters}
    for each, table in zip(plans, reader.tables, strict=True):
        batch = decoded.batches[each.owner]
        assert offsets | set(batch.offsets.tolist()) <= set(range(len(values)))
        windows = RunWindows(each, table, 0)
        windows.fold(batch, len(values))
        again = RunWindows(each, table, 0)
        again.restore(windows.snapshot())
        for window in windows.close_all():
            for part in window.parts.values():
                columns = [column.from_bytes(data) for column, data in zip(each.columns, part.columns, strict=True)]
                rows = np.arange(len(part.entities))
                merged = [
                    column.merged(len(rows), [(rows, accumulators), (rows, accumulators)])
                    for column, accumulators in zip(each.columns, columns, strict=True)
                ]
                found = each.feature_values(merged)
                assert not np.isinf(found).any()


@settings(max_examples=200)
@given(TOPICS, STREAMS, st.sets(st.integers(1, 5)))
@example([plan()], [Record(0, b"[]"), Record(1, bytes(6))], {1})  # names schema 0 of a registry
def test_the_outcome_of_a_record_is_its_own_in_any_company(
    plans: list[Plan], stream: list[Record], cuts: set[int]
) -> None:
    together = outcomes(decoder(*plans), stream)
    reader = decoder(*plans)
    edges = [0, *sorted(cut for cut in cuts if cut < len(stream)), len(stream)]
    parts = [stream[start:stop] for start, stop in pairwise(edges)]
    assert [outcome for part in parts for outcome in outcomes(reader, part)] == together
    assert [outcome for record in stream for outcome in outcomes(decoder(*plans), [record])] == together


@settings(max_examples=200)
@given(TOPICS, RECORDS)
def test_what_other_detectors_read_changes_nothing(plans: list[Plan], value: bytes | None) -> None:
    together = outcomes(decoder(*plans), records([value]))
    alone = [outcome for each in plans for outcome in outcomes(decoder(each), records([value]))]
    assert sorted(set(together), key=repr) == sorted(set(alone), key=repr)


@settings(max_examples=200)
@given(FILTERS, DETECTORS.filter(accepted), st.lists(OBJECTS, max_size=6))
def test_many_points_are_filtered_as_whole_documents_are(
    query: dict[str, Any] | None, document: dict[str, Any], values: list[bytes]
) -> None:
    document = {**document, "category_field": ..., "filter_query": query or {"match_all": {}}}
    assume(accepted(document))
    filtered, free = (decode([plan(**each)], values) for each in (document, {**document, "filter_query": ...}))
    matches = compile_query(parse_query(document["filter_query"]))
    within, free_offsets = (each.batches["d"].offsets.tolist() for each in (filtered, free))
    wanted = [matches(read_document(values[offset])) for offset in within]
    assert (filtered.batches["d"].entities != NO_ENTITY).tolist() == wanted
    matching = {offset for offset, matched in zip(within, wanted, strict=True) if matched}
    assert matching == {offset for offset in free_offsets if matches(read_document(values[offset]))}
