"""From a detector to its features: columns, their accumulators, and the plan that names them."""
