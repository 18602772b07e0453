"""Tests of the detection objective."""

import torch

from dlcoder.templates.components.engine.detection import Detection
from dlcoder.templates.components.models.fcos import FCOS

Batch = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


def make() -> tuple[FCOS, Batch]:
    torch.manual_seed(0)
    model = FCOS(3, depth=18, width=8, channels=16, head_depth=1).eval()
    boxes = torch.tensor([[[8.0, 8.0, 40.0, 40.0], [0.0, 0.0, 0.0, 0.0]]])
    return model, (torch.randn(1, 3, 64, 64), boxes, torch.tensor([[1, -1]]))


def test_padding_changes_nothing() -> None:
    model, (images, boxes, labels) = make()
    objective = Detection()
    padded = objective(model, (images, boxes, labels))
    plain = objective(model, (images, boxes[:, :1], labels[:, :1]))
    assert padded.keys() == {"loss_class", "loss_box", "loss_centerness"}
    for name, value in padded.items():
        assert value > 0
        torch.testing.assert_close(value, plain[name])


def test_locations_with_a_box_are_counted_and_an_empty_image_has_none() -> None:
    _, (images, boxes, labels) = make()
    assert Detection().count((images, boxes, labels)) == 4
    assert Detection().count((images, boxes[:, :0], labels[:, :0])) == 0


def test_an_image_without_objects_still_teaches_the_background() -> None:
    model, (images, boxes, labels) = make()
    sums = Detection()(model, (images, boxes[:, :0], labels[:, :0]))
    assert sums["loss_class"] > 0
    assert sums["loss_box"] == 0
