"""A model as profiles show it."""

from __future__ import annotations

from typing import Any

import msgspec

from schemas.node import Model


def shown_model(model: Model, size: int, node_id: str) -> dict[str, Any]:
    """A model with its size and worker."""
    shown: dict[str, Any] = {"model_id": model.model_id}
    if model.entity is not None:
        shown["entity"] = msgspec.to_builtins(model.entity)
    return {**shown, "model_size_in_bytes": size, "node_id": node_id}
