"""From closed windows to results: merging sources, the models of this worker, checkpoints."""
