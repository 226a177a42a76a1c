"""What is said: every document and record that crosses a topic, and how it is read and written.

Imports the standard library and msgspec only, so that the stream side and the API side can both build on it
without knowing each other.
"""
