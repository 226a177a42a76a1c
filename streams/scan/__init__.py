"""Bounded reads of the past: historical analysis, cold start, preview."""
