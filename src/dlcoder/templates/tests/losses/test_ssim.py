"""Tests of the SSIM loss."""

import pytest
import torch

from dlcoder.templates.components.losses.ssim import SSIMLoss

IMAGE = torch.rand(1, 3, 24, 24, generator=torch.Generator().manual_seed(0))


def test_equal_images_cost_nothing_and_others_something() -> None:
    assert float(SSIMLoss()(IMAGE, IMAGE)) == pytest.approx(0, abs=1e-6)
    assert SSIMLoss()(IMAGE, 1 - IMAGE) > 0.5


def test_it_does_not_matter_which_image_comes_first() -> None:
    other = IMAGE.flip(3)
    torch.testing.assert_close(SSIMLoss()(IMAGE, other), SSIMLoss()(other, IMAGE))


def test_constant_images_differ_by_their_luminance_alone() -> None:
    dark, bright = torch.full((1, 1, 16, 16), 0.2), torch.full((1, 1, 16, 16), 0.8)
    expected = 1 - (2 * 0.2 * 0.8 + 1e-4) / (0.2**2 + 0.8**2 + 1e-4)
    assert float(SSIMLoss()(dark, bright)) == pytest.approx(expected, abs=1e-5)


def test_a_bright_constant_image_is_finite_in_half_precision() -> None:
    bright = torch.full((1, 1, 16, 16), 200 / 255, dtype=torch.float16)
    assert float(SSIMLoss()(bright, bright)) == pytest.approx(0, abs=1e-5)


def test_images_smaller_than_the_window_are_refused() -> None:
    with pytest.raises(ValueError, match="11"):
        SSIMLoss()(torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 8, 8))
