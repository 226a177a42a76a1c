"""What can be asked: the HTTP server, its views and the query language. Imports schemas, never streams."""
