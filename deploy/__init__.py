"""Running Riverwatch: the ``riverwatch`` command, a local Kafka, the demo, containers."""
