"""Tests of grids of images."""

import torch

from dlcoder.templates.components.utils.image_grid import GAP, draw_grid, to_pixels


def test_zero_is_gray_and_extremes_are_clipped() -> None:
    images = (
        torch.tensor([-9.0, -2.0, 0.0, 2.0, 9.0]).view(5, 1, 1, 1).expand(5, 3, 1, 1)
    )
    assert to_pixels(images)[:, 0, 0, 0].tolist() == [0, 0, 128, 255, 255]


def test_images_go_row_by_row_and_missing_ones_are_white() -> None:
    images = torch.full((3, 3, 4, 6), -2.0)
    images[2] = 0.0
    grid = draw_grid(to_pixels(images), columns=2)
    assert grid.shape == (2 * 4 + GAP, 2 * 6 + GAP, 3)
    assert (grid[:4, :6] == 0).all()
    assert (grid[:4, 6 : 6 + GAP] == 255).all()
    assert (grid[4 + GAP :, :6] == 128).all()
    assert (grid[4 + GAP :, 6 + GAP :] == 255).all()
