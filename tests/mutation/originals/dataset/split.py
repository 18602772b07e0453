"""Cutting indices into training and validation."""

import random


def split_indices(n: int, val_fraction: float = 0.2, seed: int = 0) -> tuple[list[int], list[int]]:
    """Training and validation indices of `n` samples, the same for the same seed."""
    order = list(range(n))
    random.Random(seed).shuffle(order)
    cut = int(n * (1 - val_fraction))
    return order[:cut], order[cut:]
