"""Searches over the results in DuckDB."""
