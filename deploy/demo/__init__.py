"""``riverwatch demo``: real metrics through a real Kafka, with its data."""
