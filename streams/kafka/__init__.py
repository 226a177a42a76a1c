"""Kafka as workers use it beside their consumer group: clients, reading, writing, its clock."""
