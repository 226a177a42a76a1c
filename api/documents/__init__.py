"""The documents that describe the API and its topics."""
