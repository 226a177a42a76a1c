"""Processes that are started in order, restarted when they die, and stopped in reverse order."""
