"""The life cycle of detectors, jobs and tasks."""
