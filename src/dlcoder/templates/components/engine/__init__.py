"""What drives a training run."""
