"""Detectors: their documents, checks and previews."""
