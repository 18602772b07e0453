"""One record for each task."""
