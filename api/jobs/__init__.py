"""Real-time jobs and historical analyses: start and stop."""
