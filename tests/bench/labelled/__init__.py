"""Labelled series for the bench of detection: made ones, readers of folders, the metric, and the detectors."""
