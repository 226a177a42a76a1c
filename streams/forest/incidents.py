"""Incidents: what belongs together is raised once.

A severe row opens an incident. It goes on while rows are *stirred* (half as severe as an alarm) with no more than a
few calm ones between, and within it only what is clearly worse is raised again. Another severe row after that opens a
new one; shortly after a bad incident it must be somewhat worse than usual. An anomaly that the detector's rules ignore
opens none: in the same chain of stirred rows only what is worse is looked into again, since that takes its time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from streams.forest.arrays import BoolArray, Float64Array, Int64Array
from streams.forest.log2 import STEP, exp2, log2

STIRRED = 0.5
"""From this severity on a row keeps an incident open."""

CALM = 10
"""So many rows in a row that are not stirred don't end an incident yet."""

WORSE = 1.3
"""How many times the worst severity of an incident a row must reach to be raised again."""

AFTERMATH = 0.7
"""The power of its worst severity by which an incident lifts what another one needs."""

NEVER = -(1 << 62)

LATEST, CHAIN, LATEST_SEVERE, SEVERE_CHAIN, OPENED, BEGAN, COUNT = range(7)
"""Columns of the state: the number of the latest stirred event and of the first of its chain; of the latest severe
event and of the first of its chain; of the event that opened the latest incident, the end of its window (epoch ms), and
how many incidents there were."""

COLUMNS = 7

NONE, OPEN, ONGOING, CLOSED = range(4)
"""What a row is to an incident. ``CLOSED`` is the first row after it."""


@dataclass(frozen=True)
class Judged:
    """What some events are: whether each is ``raised`` [n], and its ``incident`` [n, 3]: what it is to it (``OPEN`` and
    so on), the incident's number (from 1), and the end of the window in which it began (epoch ms). Zeros for none."""

    raised: BoolArray
    incident: Int64Array


def unseen(capacity: int) -> Int64Array:
    """The state [capacity, COLUMNS] of models that had no incident yet."""
    state = np.full((capacity, COLUMNS), NEVER)
    state[:, BEGAN:] = 0
    return state


def judge(
    state: Int64Array,
    worst: Float64Array,
    rows: Int64Array,
    numbers: Int64Array,
    ends: Int64Array,
    severity: Float64Array,
    quiet_period: int,
    ignored: Callable[[int], bool],
) -> Judged:
    """Which events are raised, and which belong to incidents. Moves ``state`` and ``worst`` [models] in place.

    ``rows`` [n] are sorted by model and time, ``numbers`` [n] count each model's events, ``ends`` [n] are the ends of
    their windows. For ``quiet_period`` rows after the last severe row of an incident, the severity that opens another
    one falls to 1. ``ignored`` says whether the rules ignore an event; it is asked about those that would be raised.
    """
    if not len(rows):
        return Judged(np.zeros(0, np.bool_), np.zeros((0, 3), np.int64))
    place = np.arange(len(rows))
    first = np.ones(len(rows), np.bool_)
    first[1:] = rows[1:] != rows[:-1]
    start = np.maximum.accumulate(np.where(first, place, 0))
    before = state[rows]
    stirred = severity >= STIRRED
    latest = _latest(stirred, start, numbers, before[:, LATEST])
    ahead = np.where(first, before[:, LATEST], np.roll(latest, 1))
    chain = _latest(stirred & (numbers - ahead > CALM + 1), start, numbers, before[:, CHAIN])
    raised, opens = np.zeros(len(rows), np.bool_), np.zeros(len(rows), np.bool_)
    waiting = np.flatnonzero(severity >= 1)
    while len(waiting):
        head = np.ones(len(waiting), np.bool_)
        head[1:] = rows[waiting[1:]] != rows[waiting[:-1]]
        now, waiting = waiting[head], waiting[~head]
        model = rows[now]
        same, severe = state[model, SEVERE_CHAIN] == chain[now], severity[now]
        clearly = np.where(state[model, OPENED] >= chain[now], WORSE, 1.0)
        need = np.where(same, clearly * worst[model], _after(state[model], worst[model], numbers[now], quiet_period))
        odd = np.where(same, severe > need, severe >= need)
        raised[now] = odd
        for event in now[odd].tolist():
            raised[event] = not ignored(event)
        opens[now] = raised[now] & (state[model, OPENED] < chain[now])
        new, seen = now[opens[now]], same | odd
        state[rows[new], OPENED], state[rows[new], BEGAN] = numbers[new], ends[new]
        state[rows[new], COUNT] += 1
        worst[model[seen]] = np.maximum(np.where(same, worst[model], 0.0), severe)[seen]
        state[model[seen], LATEST_SEVERE], state[model[seen], SEVERE_CHAIN] = numbers[now[seen]], chain[now[seen]]
    last = np.append(np.flatnonzero(first)[1:], len(rows)) - 1
    state[rows[last], LATEST], state[rows[last], CHAIN] = latest[last], chain[last]
    return Judged(raised, _incident(opens, start, numbers, ends, before, latest, chain))


def _latest(marked: BoolArray, start: Int64Array, numbers: Int64Array, before: Int64Array) -> Int64Array:
    """The number of the latest marked event of each event's model, itself included; ``before`` if there was none."""
    place = np.maximum.accumulate(np.where(marked, np.arange(len(marked)), -1))
    return np.where(place >= start, numbers[place], before)


def _after(state: Int64Array, worst: Float64Array, numbers: Int64Array, quiet_period: int) -> Float64Array:
    """The severity that opens an incident: 1, and more for some rows after one."""
    since = numbers - state[:, LATEST_SEVERE]
    fading = (state[:, OPENED] >= state[:, SEVERE_CHAIN]) & (since < quiet_period)
    bad = WORSE * exp2(np.rint(AFTERMATH * log2(np.maximum(worst, 1.0)) / STEP) * STEP) - 1
    return np.where(fading, np.maximum(1.0, 1 + bad * (1 - since / max(1, quiet_period))), 1.0)


def _incident(
    opens: BoolArray,
    start: Int64Array,
    numbers: Int64Array,
    ends: Int64Array,
    before: Int64Array,
    latest: Int64Array,
    chain: Int64Array,
) -> Int64Array:
    opened = np.maximum.accumulate(np.where(opens, np.arange(len(opens)), -1))
    own = opened >= start
    total = np.cumsum(opens)
    count = before[:, COUNT] + total - np.where(start > 0, total[start - 1], 0)
    belongs = np.where(own, numbers[opened], before[:, OPENED]) >= chain
    calm = numbers - latest
    what = np.where(opens, OPEN, np.where(calm <= CALM, ONGOING, np.where(calm == CALM + 1, CLOSED, NONE)))
    what = np.where(belongs, what, NONE)
    began = np.where(own, ends[opened], before[:, BEGAN])
    return np.where(what[:, None] > NONE, np.stack([what, count, began], axis=1), 0)
