"""The search language over documents and results."""
