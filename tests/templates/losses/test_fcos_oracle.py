"""FCOS: the assignment and loss against a plain loop, suppression against the greedy one, and learning."""

import math

import pytest
import torch
import torch.nn.functional as F

from dlcoder.templates.components.losses.box_iou import BoxIoULoss
from dlcoder.templates.components.losses.fcos import FCOSLoss, assign
from dlcoder.templates.components.models.fcos import FCOS, decode, locations, non_maximum_suppression

HEIGHT, WIDTH = 160, 224
LOCATIONS = locations(HEIGHT, WIDTH)
BOXES = [
    # A box for each level, one inside another, and one too thin to be near any location.
    torch.tensor([[10.0, 12, 40, 45], [60, 20, 130, 90], [12, 14, 36, 40], [5, 5, 220, 155], [0.5, 0.5, 2, 90]]),
    torch.zeros(0, 4),
]
LABELS = [torch.tensor([0, 1, 2, 1, 0]), torch.zeros(0, dtype=torch.int64)]


def assign_one_by_one(boxes, labels):
    classes, sides = [], []
    for x, y, stride in LOCATIONS.tolist():
        best = None
        for (x1, y1, x2, y2), label in zip(boxes.tolist(), labels.tolist(), strict=True):
            distances = (x - x1, y - y1, x2 - x, y2 - y)
            central = max(abs(x - (x1 + x2) / 2), abs(y - (y1 + y2) / 2)) < 1.5 * stride
            low = 0 if stride == 8 else 4 * stride
            high = math.inf if stride == 128 else 8 * stride
            area = (x2 - x1) * (y2 - y1)
            fits = min(distances) > 0 and central and low <= max(distances) < high
            if fits and (best is None or area < best[0]):
                best = (area, label, distances)
        classes.append(-1 if best is None else best[1])
        sides.append((1.0, 1.0, 1.0, 1.0) if best is None else best[2])
    return torch.tensor(classes), torch.tensor(sides)


def outputs(dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    n = len(LOCATIONS)
    logits = torch.randn(2, n, 3, generator=generator, dtype=dtype)
    distances = torch.rand(2, n, 4, generator=generator, dtype=dtype) * 60 + 1
    return logits, distances, torch.randn(2, n, generator=generator, dtype=dtype)


def reference(logits, distances, centerness):
    total, positives = 0.0, 0
    for image in range(2):
        classes, sides = assign_one_by_one(BOXES[image], LABELS[image])
        truth = F.one_hot(classes + 1, 4)[:, 1:].to(logits.dtype)
        p = logits[image].sigmoid()
        p_t, alpha_t = p * truth + (1 - p) * (1 - truth), 0.25 * truth + 0.75 * (1 - truth)
        total = total - (alpha_t * (1 - p_t) ** 2 * p_t.log()).sum()
        for i in (classes >= 0).nonzero().flatten().tolist():
            center = LOCATIONS[i, :2].double()
            predicted, true = (
                torch.cat([center - d[:2], center + d[2:]])[None] for d in (distances[image, i], sides[i].double())
            )
            left, top, right, bottom = sides[i].tolist()
            ratio = min(left, right) / max(left, right) * min(top, bottom) / max(top, bottom)
            q = centerness[image, i].sigmoid()
            total = total + BoxIoULoss(kind="giou")(predicted, true)
            total = total - math.sqrt(ratio) * q.log() - (1 - math.sqrt(ratio)) * (1 - q).log()
            positives += 1
    return total / positives


def test_locations_are_assigned_as_one_by_one():
    classes, sides = assign(LOCATIONS, BOXES, LABELS)
    for image in range(2):
        expected, expected_sides = assign_one_by_one(BOXES[image], LABELS[image])
        assert torch.equal(classes[image], expected)
        torch.testing.assert_close(sides[image], expected_sides)
    assert set(classes[0].tolist()) == {-1, 0, 1, 2}


def test_the_loss_and_its_gradient_equal_the_plain_loop():
    ours, plain = ([x.requires_grad_() for x in outputs()] for _ in range(2))
    loss = FCOSLoss()(*ours, LOCATIONS, BOXES, LABELS)
    expected = reference(*plain)
    torch.testing.assert_close(loss, expected, rtol=1e-6, atol=0)
    gradients = torch.autograd.grad(loss, ours)
    torch.testing.assert_close(gradients, torch.autograd.grad(expected, plain), rtol=1e-6, atol=1e-9)


def test_sums_of_single_images_add_up_to_the_batch():
    loss, values = FCOSLoss(reduction="sum"), outputs()
    singles = [loss(*(x[i : i + 1] for x in values), LOCATIONS, BOXES[i : i + 1], LABELS[i : i + 1]) for i in range(2)]
    torch.testing.assert_close(sum(singles), loss(*values, LOCATIONS, BOXES, LABELS))


def test_images_without_boxes_teach_background_only():
    values = [x.requires_grad_() for x in outputs()]
    FCOSLoss()(*values, LOCATIONS, [torch.zeros(0, 4)] * 2, [LABELS[1]] * 2).backward()
    assert values[0].grad.any()
    assert not values[1].grad.any()
    assert not values[2].grad.any()


def test_half_precision_stays_close_to_double():
    loss = FCOSLoss()(*outputs(torch.float16), LOCATIONS, BOXES, LABELS)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss.double(), FCOSLoss()(*outputs(), LOCATIONS, BOXES, LABELS), rtol=0.06, atol=0.02)


def test_a_label_that_is_no_class_is_refused():
    with pytest.raises(RuntimeError):
        FCOSLoss()(*outputs(), LOCATIONS, BOXES, [LABELS[0] + 1, LABELS[1]])


@pytest.mark.parametrize("seed", range(5))
def test_suppression_equals_the_greedy_loop(seed):
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(60, 2, generator=generator) * 40
    boxes = torch.cat([corner, corner + 5 + torch.rand(60, 2, generator=generator) * 30], dim=1)
    kept = []
    for index, box in enumerate(boxes):
        overlaps = [1 - BoxIoULoss(kind="iou")(box[None], boxes[k][None]) for k in kept]
        if all(overlap <= 0.5 for overlap in overlaps):
            kept.append(index)
    assert non_maximum_suppression(boxes, 0.5).tolist() == kept


def test_perfect_outputs_decode_to_the_true_boxes():
    classes, sides = assign(LOCATIONS, BOXES, LABELS)
    logits = 20 * F.one_hot(classes + 1, 4)[..., 1:] - 10.0
    distances = sides.float()
    for boxes, labels, (found, scores, found_labels) in zip(
        BOXES, LABELS, decode((logits, distances, torch.zeros(2, len(LOCATIONS))), HEIGHT, WIDTH), strict=True
    ):
        seen = boxes[:-1]  # nothing can see the last, which is too thin
        assert len(found) == len(seen)
        order, expected = found[:, 0].argsort(), seen[:, 0].argsort()
        torch.testing.assert_close(found[order], seen[expected])
        assert found_labels[order].tolist() == labels[: len(seen)][expected].tolist()
        assert (scores > 0.7).all()


def test_a_tiny_detector_learns_an_image_by_heart():
    torch.manual_seed(0)
    model, loss = FCOS(2, depth=18, width=8, channels=16, head_depth=1), FCOSLoss()
    images = torch.randn(2, 3, 64, 64)
    boxes = [torch.tensor([[8.0, 8, 40, 44]]), torch.tensor([[30.0, 20, 62, 60]])]
    labels = [torch.tensor([0]), torch.tensor([1])]
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(80):
        optimizer.zero_grad()
        loss(*model(images), locations(64, 64), boxes, labels).backward()
        optimizer.step()
    for (found, _, found_labels), box, label in zip(decode(model(images), 64, 64), boxes, labels, strict=True):
        assert found_labels[0] == label
        assert BoxIoULoss(kind="iou")(found[:1], box) < 0.2
