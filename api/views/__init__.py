"""Tables folded from topics."""
