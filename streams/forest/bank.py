"""What every kind of model offers: many models of one detector, as rows of arrays."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field

from schemas.reason import Code
from streams.forest.arrays import BoolArray, Float64Array, Int64Array
from streams.forest.spec import ForestSpec


@dataclass(frozen=True)
class Explanation:
    """Why a row is an anomaly.

    ``attribution`` [features] sums to 1; ``expected`` [features] is what was expected instead, between ``lower`` and
    ``upper`` [features] (NaN where no band is known); ``likelihood`` in [0, 1] says how much of what the model knows
    lies near the expected values. ``code`` is what speaks loudest, of the feature number ``feature``; one that stands
    still has had the same value for ``windows`` windows.
    """

    attribution: Float64Array
    expected: Float64Array
    likelihood: float
    lower: Float64Array
    upper: Float64Array
    code: Code
    feature: int
    windows: int = 0


@dataclass(frozen=True)
class Steps:
    """The outcome of n events, in the order in which they were given.

    ``score`` >= 0 and ``threshold`` > 0 are on one scale: 0 while a model warms up. ``grade`` in [0, 1] is
    above 0 for anomalies only; ``confidence`` in [0, 1] is the measured share of alarms that are real at this
    maturity and completeness. ``imputed`` [n, features] tells filled-in values, ``values`` [n, features] are the
    given ones with those. ``incident`` [n, 3] says what each row is to an incident (incidents.py: ``Judged``).
    ``learning`` [n] tells models that are still young. ``expected`` [n, features] is what was forecast, ``spread``
    [n, features] how far values usually lie from that (NaN where nothing is known).
    ``explanations`` holds one entry for each event with a grade, under its place among the events.
    """

    score: Float64Array
    threshold: Float64Array
    grade: Float64Array
    confidence: Float64Array
    imputed: BoolArray
    values: Float64Array
    incident: Int64Array
    learning: BoolArray
    expected: Float64Array
    spread: Float64Array
    explanations: dict[int, Explanation] = field(default_factory=dict)


class ForestBank(ABC):
    """The models of one detector, one a row.

    A bank doesn't know entities: who owns which row is the caller's business.
    """

    spec: ForestSpec
    capacity: int

    @property
    @abstractmethod
    def bytes_per_model(self) -> int:
        """Memory that a row takes, in bytes."""

    @abstractmethod
    def grow(self, capacity: int) -> None:
        """Make room for ``capacity`` models; the new rows are unseen models."""

    @abstractmethod
    def reset(self, rows: Int64Array) -> None:
        """Make these rows new, unseen models."""

    @abstractmethod
    def step(self, rows: Int64Array, ends: Int64Array, values: Float64Array) -> Steps:
        """Score each event with what its model learned before, then learn it.

        ``rows`` [n] may name a model several times, its events being in the order of time; ``ends`` [n] are
        the ends of their windows (epoch ms); ``values`` [n, features], NaN where nothing is known. However
        events are cut into calls, the outcome is the same, bit for bit.
        """

    @abstractmethod
    def seen(self, rows: Int64Array) -> Int64Array:
        """How many events each model has been given."""

    @abstractmethod
    def dump(self, rows: Int64Array) -> list[bytes]:
        """The state of each model, as ``load`` reads it."""

    @abstractmethod
    def reads(self, state: bytes) -> bool:
        """Whether a dumped model is one of these: of the same kind, structure, seed and version."""

    @abstractmethod
    def load(self, rows: Int64Array, states: Sequence[bytes]) -> None:
        """Replace models by dumped ones. Raises ``WrongRecord`` for records of another structure or version,
        and then changes nothing."""
