"""What a search names, bound to the fields of what is searched."""
