"""How it is run: the riverwatch command, a local Kafka, the demo, containers."""
