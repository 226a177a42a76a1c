"""Who may write for a partition: claims, epochs, and what counts of what was written."""
