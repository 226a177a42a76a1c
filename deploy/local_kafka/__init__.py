"""A real local Kafka from packages alone: its jars, a Java to run them, the broker."""
