"""What Kafka's errors mean to those who read: wait, or give up."""

from __future__ import annotations

from confluent_kafka import KafkaError

AWAY = (KafkaError._ALL_BROKERS_DOWN, KafkaError._TRANSPORT, KafkaError._TIMED_OUT, KafkaError._RESOLVE)
"""Kafka can't be reached for now."""

GONE = (
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError._UNKNOWN_TOPIC,
    KafkaError._UNKNOWN_PARTITION,
    KafkaError.UNKNOWN_TOPIC_ID,
)
"""There is no such topic or partition; also said for a moment by a broker that has just started."""
