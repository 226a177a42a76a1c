"""A client of the REST API, and the detector documents that it sends."""
