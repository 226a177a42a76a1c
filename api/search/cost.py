"""What a search would cost, told before it begins: a thousand patterns on ten million results take minutes.

Prices are microseconds of one core for one clause on one document, measured on a shared two-core EPYC: rough, and
rather too high where a clause can end early.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from api.search.aggregations.tree import Aggregation
from schemas.errors import Refused
from schemas.query.bind import bind
from schemas.query.conditions import AtLeast, Between, Condition, Every, Fits, Inside, Not, Phrase, Words
from schemas.query.fields import Types


@dataclass(frozen=True)
class Prices:
    """Of comparing a value, of a pattern, of the words of a text, of nested objects."""

    value: float
    pattern: float
    words: float
    object: float


MEMORY = Prices(value=1.0, pattern=3.0, words=15.0, object=3.0)
STORE = Prices(value=0.01, pattern=0.15, words=14.0, object=0.05)


def price(condition: Condition, prices: Prices) -> float:
    """What a condition costs a document.

    >>> from schemas.query.conditions import Present
    >>> from schemas.query.fields import Field
    >>> name, text = Field("name", "keyword"), Field("error", "text")
    >>> price(Every((Present(name), Not(Words(text, ("a",), 1)))), MEMORY)
    16.0
    """
    if isinstance(condition, Every | AtLeast):
        return sum(price(part, prices) for part in condition.parts)
    if isinstance(condition, Not):
        return price(condition.part, prices)
    if isinstance(condition, Inside):
        return prices.object + price(condition.part, prices)
    if isinstance(condition, Words | Phrase):
        return prices.words
    if isinstance(condition, Fits | Between) and condition.field.type == "text":
        return prices.words
    return prices.pattern if isinstance(condition, Fits) else prices.value


def price_of_aggregations(
    aggregations: Mapping[str, Aggregation], types: Types, now: int, prices: Prices, scope: str = ""
) -> float:
    """What all aggregations together cost a document, at the most."""
    total = 0.0
    for one in aggregations.values():
        inside = {"nested": one.settings.get("path", ""), "reverse_nested": ""}.get(one.kind, scope)
        queries: Iterable[object] = ()
        if one.kind == "filter":
            queries = (one.settings["query"],)
        elif one.kind == "filters":
            queries = one.settings["queries"].values()
        total += prices.value * (len(one.settings["ranges"]) if "ranges" in one.settings else 1)
        for query in queries:
            try:
                total += max(prices.value, price(bind(query, types, now, scope), prices))  # type: ignore[arg-type]
            except Refused:
                break  # refused as soon as it is carried out
        total += price_of_aggregations(one.children, types, now, prices, inside)
    return total


def refuse_above(most_seconds: float, price: float, documents: int) -> None:
    """Raise ``Refused`` (400) for what would take longer than ``most_seconds``: ``price`` on each of the documents.

    >>> refuse_above(30.0, 100 * STORE.pattern, 10_000_000)
    Traceback (most recent call last):
    schemas.errors.Refused: The search would compute for about [150] s on [10000000] documents, more than the [30] s \
that it may: ask for fewer clauses and patterns, or for fewer documents by a term or a range. This limit can be set by \
RIVERWATCH_MAX_SEARCH_SECONDS
    """
    seconds = price * documents / 1e6
    if seconds > most_seconds:
        raise Refused(
            400,
            f"The search would compute for about [{seconds:.0f}] s on [{documents}] documents, more than the "
            f"[{most_seconds:g}] s that it may: ask for fewer clauses and patterns, or for fewer documents by a term "
            "or a range. This limit can be set by RIVERWATCH_MAX_SEARCH_SECONDS",
            "illegal_argument_exception",
        )
