"""Half-space trees for many entities at once, in NumPy: no Kafka, no clock. kernel.py chooses who computes.

Start with ``engine.py``; docs/detection.md explains the ideas.

>>> import numpy as np
>>> bank = open_bank(ForestSpec(features=1, seed=7), capacity=1)
>>> n = 300
>>> values = np.random.default_rng(1).normal(10, 1, (n, 1))
>>> values[280] = 30
>>> steps = bank.step(np.zeros(n, np.int64), np.arange(n) * 60_000, values)
>>> np.flatnonzero(steps.grade > 0)
array([280])
"""

from streams.forest.bank import Explanation, ForestBank, Steps
from streams.forest.compiled import CompiledBank
from streams.forest.engine import DefaultBank
from streams.forest.imputation import Imputation
from streams.forest.kernel import in_use
from streams.forest.record import WrongRecord
from streams.forest.river import RiverBank
from streams.forest.spec import ForestSpec
from streams.forest.suppression import Rule, read_rules

__all__ = [
    "Explanation",
    "ForestBank",
    "ForestSpec",
    "Imputation",
    "Rule",
    "Steps",
    "WrongRecord",
    "open_bank",
    "read_rules",
]


def open_bank(spec: ForestSpec, capacity: int) -> ForestBank:
    """A bank of ``capacity`` unseen models of this kind, on the kernel that is in use (kernel.py)."""
    if spec.kind == "river":
        return RiverBank(spec, capacity)
    return CompiledBank(spec, capacity) if in_use().name == "compiled" else DefaultBank(spec, capacity)
