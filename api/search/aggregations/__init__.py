"""Aggregations: read, and executed over a slice of documents wherever these are."""
