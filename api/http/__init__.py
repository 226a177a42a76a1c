"""The HTTP server: routing, requests, answers, errors, limits."""
