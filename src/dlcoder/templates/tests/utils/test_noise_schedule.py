"""Tests of the cosine schedule."""

import torch

from dlcoder.templates.components.utils.noise_schedule import cosine_schedule


def test_the_signal_falls_from_nearly_all_to_nearly_none() -> None:
    power = cosine_schedule(1000)
    assert power.shape == (1000,)
    assert power.dtype == torch.float64
    assert (power.diff() <= 0).all()
    assert power[0] > 0.999
    assert 0 < power[-1] < 1e-3
