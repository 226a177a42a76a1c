"""What all consumers have in common that read beside the consumer group."""

from __future__ import annotations

READING = {"group.id": "riverwatch-reader", "enable.auto.commit": False}
"""librdkafka wants a group: this one is never joined, and nothing is ever committed to it."""

LEADER_SECONDS = 30.0
"""A partition gets a new leader within so long."""
