"""Tests of the IoU losses of boxes."""

from typing import Literal

import pytest
import torch

from dlcoder.templates.components.losses.box_iou import BoxIoULoss

Kind = Literal["iou", "giou", "diou", "ciou"]
KINDS: tuple[Kind, ...] = ("iou", "giou", "diou", "ciou")
BOX = torch.tensor([[0.0, 0.0, 2.0, 2.0]])


@pytest.mark.parametrize(
    ("kind", "value"),
    # A box of the same size, half aside: 2 of 6 shared, a hull of 3 x 2.
    [
        ("iou", 2 / 3),
        ("giou", 2 / 3),
        ("diou", 2 / 3 + 1 / 13),
        ("ciou", 2 / 3 + 1 / 13),
    ],
)
def test_a_shifted_box_costs_what_the_formula_says(kind: Kind, value: float) -> None:
    shifted = BOX + torch.tensor([1.0, 0.0, 1.0, 0.0])
    assert float(BoxIoULoss(kind=kind)(shifted, BOX)) == pytest.approx(value)


@pytest.mark.parametrize("kind", KINDS)
def test_equal_boxes_cost_nothing(kind: Kind) -> None:
    assert float(BoxIoULoss(kind=kind)(BOX, BOX)) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("kind", KINDS[1:])
def test_boxes_apart_are_pulled_together(kind: Kind) -> None:
    far = (BOX + 5).requires_grad_()
    BoxIoULoss(kind=kind)(far, BOX).backward()
    assert far.grad is not None
    assert (far.grad.sum(dim=1) > 0).all()


@pytest.mark.parametrize("kind", KINDS)
def test_boxes_without_area_and_no_boxes_are_finite(kind: Kind) -> None:
    flat = torch.tensor([[1.0, 1.0, 3.0, 1.0]], requires_grad=True)
    BoxIoULoss(kind=kind)(flat, BOX).backward()
    assert flat.grad is not None
    assert flat.grad.isfinite().all()
    assert BoxIoULoss(kind=kind)(BOX[:0], BOX[:0]) == 0
