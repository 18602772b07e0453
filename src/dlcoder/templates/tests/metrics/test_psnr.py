"""Tests of the peak signal-to-noise ratio."""

import pytest
import torch

from dlcoder.templates.components.metrics.psnr import PSNRSums, psnr


def test_an_error_of_a_tenth_is_twenty_decibels() -> None:
    metric = PSNRSums(data_range=1.0)
    metric.update(torch.full((2, 1, 4, 4), 0.1), torch.zeros(2, 1, 4, 4))
    assert psnr(metric.sums) == pytest.approx(20, rel=1e-5)


def test_it_is_the_mean_of_the_images_and_finite_for_a_perfect_one() -> None:
    metric = PSNRSums(data_range=1.0, ceiling=100.0)
    prediction = torch.zeros(2, 1, 4, 4)
    prediction[1] = 0.1
    for image in prediction.split(1):
        metric.update(image, torch.zeros(1, 1, 4, 4))
    assert psnr(metric.sums) == pytest.approx((100 + 20) / 2, rel=1e-5)


def test_shapes_that_would_broadcast_are_refused() -> None:
    with pytest.raises(ValueError, match="shapes differ"):
        PSNRSums().update(torch.zeros(2, 1, 4, 4), torch.zeros(2, 3, 4, 4))
