"""Results: the store and what is read from it."""
