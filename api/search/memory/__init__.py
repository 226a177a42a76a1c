"""Searches over documents in memory."""
