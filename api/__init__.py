"""The REST API: the HTTP server, its views of the topics, and search."""
