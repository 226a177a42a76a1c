"""Kafka clients of the API."""
