"""Tests of the loss of FCOS."""

import pytest
import torch
import torch.nn.functional as F

from dlcoder.templates.components.losses.fcos import FCOSLoss, assign

# Two levels above an image of 32 x 32: 4 x 4 locations, and 2 x 2.
CENTERS = [((x + 0.5) * 8, (y + 0.5) * 8, 8.0) for y in range(4) for x in range(4)]
CENTERS += [((x + 0.5) * 16, (y + 0.5) * 16, 16.0) for y in range(2) for x in range(2)]
LOCATIONS = torch.tensor(CENTERS)
BOXES = [torch.tensor([[0.0, 0.0, 16.0, 16.0]]), torch.zeros(0, 4)]
LABELS = [torch.tensor([1]), torch.zeros(0, dtype=torch.int64)]


def perfect() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Outputs that say what the boxes are."""
    classes, distances = assign(LOCATIONS, BOXES, LABELS)
    logits = 40 * F.one_hot(classes + 1, 4)[..., 1:] - 20.0
    return logits, distances, torch.zeros(classes.shape)


def test_locations_around_the_center_of_a_box_learn_it() -> None:
    classes, distances = assign(LOCATIONS, BOXES, LABELS)
    # The coarser level is left to boxes whose sides are farther away.
    assert classes[0].nonzero().flatten().tolist() == list(range(20))
    assert (classes[0] == 1).nonzero().flatten().tolist() == [0, 1, 4, 5]
    assert distances[0, 1].tolist() == [12, 4, 4, 12]
    assert (classes[1] == -1).all()


def test_of_two_boxes_the_smaller_is_learned() -> None:
    both = torch.tensor([[0.0, 0.0, 16.0, 16.0], [1.0, 1.0, 14.0, 14.0]])
    classes, _ = assign(LOCATIONS, [both], [torch.tensor([1, 2])])
    assert 2 in classes
    assert 1 not in classes


def test_perfect_outputs_cost_only_their_centerness() -> None:
    terms = FCOSLoss().terms(*perfect(), LOCATIONS, BOXES, LABELS)
    assert float(terms["class"]) == pytest.approx(0, abs=1e-4)
    assert float(terms["box"]) == pytest.approx(0, abs=1e-6)
    assert float(terms["centerness"]) == pytest.approx(0.6931, abs=1e-3)


def test_sums_of_single_images_add_up() -> None:
    loss, outputs = FCOSLoss(reduction="sum"), perfect()
    singles = [
        loss(*(x[i : i + 1] for x in outputs), LOCATIONS, BOXES[i:][:1], LABELS[i:][:1])
        for i in range(2)
    ]
    torch.testing.assert_close(sum(singles), loss(*outputs, LOCATIONS, BOXES, LABELS))


def test_an_image_without_boxes_is_finite() -> None:
    outputs = [x[1:].requires_grad_() for x in perfect()]
    FCOSLoss()(*outputs, LOCATIONS, BOXES[1:], LABELS[1:]).backward()
    assert all(x.grad is not None and x.grad.isfinite().all() for x in outputs)
