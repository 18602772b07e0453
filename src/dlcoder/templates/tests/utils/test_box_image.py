"""Tests of pictures of boxes."""

import torch

from dlcoder.templates.components.utils.box_image import DETECTED, TRUE, draw_boxes


def test_outlines_are_where_the_boxes_are() -> None:
    true = torch.tensor([[2.0, 3.0, 10.0, 12.0]])
    picture = draw_boxes(torch.zeros(1, 3, 16, 16), [true], [true + 3])
    assert (picture[3, 2:10] == TRUE).all()
    assert (picture[15, 5:13] == DETECTED).all()
    assert (picture[0] == 128).all()


def test_a_box_beyond_the_image_is_drawn_on_its_edge() -> None:
    box = torch.tensor([[-5.0, -5.0, 99.0, 99.0]])
    picture = draw_boxes(torch.zeros(1, 3, 8, 8), [box], [torch.zeros(0, 4)])
    assert (picture[[0, 7]] == TRUE).all()
    assert (picture[1:7, 1:7] == 128).all()
