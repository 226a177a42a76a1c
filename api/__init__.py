"""What can be asked: the HTTP server, its materialized views and the query language. Imports schemas, never streams."""
