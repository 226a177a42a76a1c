"""Riverwatch's own topics: created and repaired, and the results read from them."""
