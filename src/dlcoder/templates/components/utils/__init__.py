"""What a run needs around its training."""
