"""Tests of the detector FCOS."""

import torch

from dlcoder.templates.components.models.fcos import (
    FCOS,
    decode,
    locations,
    non_maximum_suppression,
)


def tiny() -> FCOS:
    torch.manual_seed(0)
    return FCOS(3, depth=18, width=8, channels=16, head_depth=1)


def test_every_location_has_its_outputs_whatever_the_size() -> None:
    logits, distances, centerness = tiny().eval()(torch.randn(2, 3, 70, 100))
    count = len(locations(70, 100))
    assert logits.shape == (2, count, 3)
    assert distances.shape == (2, count, 4)
    assert centerness.shape == (2, count)
    assert (distances > 0).all()


def test_objects_are_unlikely_at_the_start() -> None:
    logits, _, _ = tiny()(torch.randn(2, 3, 64, 64))
    assert abs(logits.sigmoid().mean().item() - 0.01) < 0.005


def test_locations_are_the_centers_of_cells() -> None:
    first, *_, last = locations(64, 128).tolist()
    assert first == [4, 4, 8]
    assert last == [64, 64, 128]


def test_a_confident_location_becomes_a_box_inside_of_the_image() -> None:
    count = len(locations(32, 32))
    logits = torch.full((1, count, 3), -20.0)
    distances = torch.ones(1, count, 4)
    # The third cell of the second row, at (20, 12).
    logits[0, 6, 2] = 20.0
    distances[0, 6] = torch.tensor([10.0, 2.0, 30.0, 4.0])
    outputs = (logits, distances, torch.full((1, count), 20.0))
    ((boxes, scores, labels),) = decode(outputs, 32, 32)
    assert boxes.tolist() == [[10, 10, 32, 16]]
    assert labels.tolist() == [2]
    assert scores[0] > 0.99


def test_a_box_is_suppressed_only_by_one_that_stays() -> None:
    # The second overlaps the first, and the third only the second.
    rows = [[0.0, 0, 10, 10], [3, 0, 13, 10], [6, 0, 16, 10]]
    kept = non_maximum_suppression(torch.tensor(rows), max_overlap=0.5)
    assert kept.tolist() == [0, 2]


def test_every_parameter_learns() -> None:
    model = tiny()
    # Blocks start as their shortcut: give them a first step.
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    for _ in range(2):
        optimizer.zero_grad()
        outputs = model(torch.randn(2, 3, 64, 64))
        torch.stack([(x - 1).abs().mean() for x in outputs]).sum().backward()
        optimizer.step()
    assert all(p.grad is not None and p.grad.any() for p in model.parameters())


def test_it_has_as_many_parameters_as_published() -> None:
    with torch.device("meta"):
        model = FCOS(91)
    assert sum(p.numel() for p in model.parameters()) == 32_322_720
