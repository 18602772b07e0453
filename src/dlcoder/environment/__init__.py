"""What a training run finds on this machine: GPUs, driver, torch, libraries and limits, and what is wrong with them."""
