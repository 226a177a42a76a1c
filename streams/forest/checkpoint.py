"""Models to bytes and back, many at a time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from streams.forest.arrays import Int64Array
from streams.forest.models import Models
from streams.forest.record import WrongRecord, body
from streams.forest.spec import ForestSpec


def dump(models: Models, rows: Int64Array, header: bytes) -> list[bytes]:
    """The records of these models."""
    parts = [np.ascontiguousarray(array[rows]).reshape(len(rows), -1) for array in models.arrays().values()]
    table = np.concatenate([part.view(np.uint8).reshape(len(rows), -1) for part in parts if part.size], axis=1)
    return [header + record.tobytes() for record in table]


def load(spec: ForestSpec, states: Sequence[bytes], header: bytes) -> Models:
    """The models of these records. Raises ``WrongRecord``."""
    bodies = [body(state, header) for state in states]
    models = Models.unseen(spec, len(states))
    size = sum(array[:1].nbytes for array in models.arrays().values())
    if any(len(content) != size for content in bodies):
        raise WrongRecord("model record was cut off")
    table = np.frombuffer(b"".join(bodies), np.uint8).reshape(len(states), size)
    start = 0
    for array in models.arrays().values():
        width = array[:1].nbytes
        part = np.ascontiguousarray(table[:, start : start + width]).view(array.dtype)
        array[:] = part.reshape(array.shape)
        start += width
    return models
