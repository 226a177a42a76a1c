"""What the sources of a run report: folded into its ledger, and as sentences in its task's ``error``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

import msgspec

from schemas.command import SourceReport
from schemas.state import Ledger, SourceShare

SOURCES_KEPT = 200
"""Sources of a run that its ledger holds: it is written and read as one record, whatever a detector reads."""

NOTE_LENGTH = 300
SENTENCES = 20
"""Sentences of an ``error``; what there is beyond them is counted."""


def folded(ledger: Ledger, report: SourceReport) -> Ledger:
    """The ledger with a report taken in. Counts never fall; a report of an older epoch changes nothing.

    >>> report = SourceReport(detector_id="d", run=1, topic="m", partition=0, node_id="n", late=3)
    >>> folded(Ledger(), report).sources["m"][0].late
    3
    """
    before = ledger.sources.get(report.topic, {}).get(report.partition, SourceShare())
    if report.epoch < before.epoch:
        return ledger
    after = SourceShare(
        epoch=report.epoch,
        late=max(before.late, report.late),
        unread=max(before.unread, report.unread),
        dead_letters={
            reason: max(before.dead_letters.get(reason, 0), report.dead_letters.get(reason, 0))
            for reason in before.dead_letters | report.dead_letters
        },
        note=report.note[:NOTE_LENGTH],
    )
    if after == before:
        return ledger
    sources = {**ledger.sources, report.topic: {**ledger.sources.get(report.topic, {}), report.partition: after}}
    return msgspec.structs.replace(ledger, sources=_most(sources))


def _most(sources: dict[str, dict[int, SourceShare]]) -> dict[str, dict[int, SourceShare]]:
    if sum(map(len, sources.values())) <= SOURCES_KEPT:
        return sources
    ranked = sorted(
        ((topic, partition, share) for topic, shares in sources.items() for partition, share in shares.items()),
        key=lambda each: (bool(each[2].note), _count(each[2]), *each[:2]),
        reverse=True,
    )
    kept: dict[str, dict[int, SourceShare]] = {}
    for topic, partition, share in ranked[:SOURCES_KEPT]:
        kept.setdefault(topic, {})[partition] = share
    return kept


def _count(share: SourceShare) -> int:
    return share.late + share.unread + sum(share.dead_letters.values())


def error_of(ledger: Ledger, indices: Iterable[str], sources: Mapping[str, object]) -> str:
    """The ``error`` of a real-time task: what its workers and sources reported, and topics that do not exist.

    ``indices`` are the detector's, ``sources`` the topics that the run reads. Empty when there is nothing to say.

    >>> error_of(Ledger(), ["metrics", "orders-*"], {"orders-eu": {}})
    'no such index [metrics]'
    """
    absent = [name for name in indices if (not sources if "*" in name else name not in sources)]
    sentences = [f"no such index [{', '.join(absent)}]"] if absent else []
    sentences += [ledger.models[key].error for key in sorted(ledger.models)]
    sentences += source_sentences(ledger.sources)
    return in_one(sentences)


def source_sentences(sources: Mapping[str, Mapping[int, SourceShare]]) -> Iterator[str]:
    """What users should know of the records of these sources, the worst first."""
    for topic, shares in sorted(sources.items()):
        for partition, share in sorted(shares.items()):
            if share.unread:
                yield unread_sentence(share.unread, f"{topic}/{partition}")
    for _, shares in sorted(sources.items()):
        for _, share in sorted(shares.items()):
            yield share.note
    for topic, shares in sorted(sources.items()):
        if late := sum(share.late for share in shares.values()):
            yield late_sentence(late, topic)
    for topic, shares in sorted(sources.items()):
        unusable: Counter[str] = sum((Counter(share.dead_letters) for share in shares.values()), Counter())
        if unusable:
            yield unusable_sentence(unusable, topic)


def late_sentence(count: int, topic: str) -> str:
    """
    >>> late_sentence(412, "metrics")
    '412 records of metrics were late (a longer window_delay would take them in)'
    """
    return f"{_records(count)} of {topic} {_were(count)} late (a longer window_delay would take them in)"


def unread_sentence(count: int, source: str) -> str:
    """
    >>> unread_sentence(2_000, "metrics/3")
    '2,000 records of metrics/3 were deleted by retention before they were read'
    """
    return f"{_records(count)} of {source} {_were(count)} deleted by retention before they were read"


def unusable_sentence(reasons: Counter[str], topic: str) -> str:
    """
    >>> unusable_sentence(Counter({"bad-time": 12, "missing-time": 5}), "metrics")
    '17 records of metrics could not be used (bad-time 12, missing-time 5): see riverwatch deadletters --topic metrics'
    """
    named = ", ".join(f"{reason} {count:,}" for reason, count in reasons.most_common())
    where = f"see riverwatch deadletters --topic {topic}"
    return f"{_records(reasons.total())} of {topic} could not be used ({named}): {where}"


def _records(count: int) -> str:
    return f"{count:,} record{'' if count == 1 else 's'}"


def _were(count: int) -> str:
    return "was" if count == 1 else "were"


def in_one(sentences: Iterable[str]) -> str:
    """Sentences as one text: each once, no empty ones, and no more than people read.

    >>> in_one(["no disk", "", "no disk", "no time"])
    'no disk; no time'
    """
    distinct = [each for each in dict.fromkeys(sentences) if each]
    if len(distinct) > SENTENCES:
        distinct = [*distinct[:SENTENCES], f"and {len(distinct) - SENTENCES} more of these"]
    return "; ".join(distinct)
