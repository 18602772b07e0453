"""Tests of pictures of masks."""

import torch

from dlcoder.templates.components.utils.mask_image import color_mask, draw_masks


def test_classes_have_their_own_colors() -> None:
    colors = color_mask(torch.tensor([[[0, 1, 2, 3, 255]]]))[0, 0]
    assert len({tuple(color) for color in colors.tolist()}) == 5
    assert colors[0].tolist() == [0, 0, 0]
    assert colors[4].tolist() == [128, 128, 128]


def test_a_row_holds_image_truth_and_prediction() -> None:
    masks = torch.zeros(2, 8, 8, dtype=torch.int64)
    picture = draw_masks(torch.zeros(2, 3, 8, 8), masks, masks + 1)
    assert picture.shape == (2 * 10 - 2, 3 * 10 - 2, 3)
    assert (picture[:8, :8] == 128).all()
    assert (picture[:8, 10:18] == 0).all()
    assert (picture[:8, 20:] == color_mask(masks + 1)[0, 0, 0]).all()
