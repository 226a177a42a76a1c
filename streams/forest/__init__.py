"""Half-space trees for many entities at once. Pure NumPy: no Kafka, no clock, no settings."""
