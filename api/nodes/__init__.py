"""Workers: statistics, profiles and health."""
