"""Tests of the supervised contrastive loss."""

import pytest
import torch

from dlcoder.templates.components.losses.supervised_contrastive import (
    SupervisedContrastiveLoss,
)

EMBEDDINGS = torch.randn(6, 8, generator=torch.Generator().manual_seed(0))


def test_a_class_apart_from_the_others_costs_little() -> None:
    labels = torch.tensor([0, 0, 0, 1, 1, 1])
    directions = torch.eye(8)[labels]
    loss = SupervisedContrastiveLoss(temperature=0.1)
    # Each anchor sees two positives that are as near as can be.
    assert loss(directions, labels).item() == pytest.approx(0.6931, abs=1e-3)
    assert loss(directions, labels) < loss(EMBEDDINGS, labels)


def test_names_of_classes_do_not_matter() -> None:
    labels = torch.tensor([0, 1, 2, 0, 1, 2])
    loss = SupervisedContrastiveLoss()
    torch.testing.assert_close(loss(EMBEDDINGS, labels), loss(EMBEDDINGS, 9 - labels))


def test_lone_samples_have_no_part_and_none_but_lone_cost_nothing() -> None:
    loss = SupervisedContrastiveLoss()
    embeddings = EMBEDDINGS.clone().requires_grad_()
    assert loss(embeddings, torch.arange(6)) == 0
    loss(embeddings, torch.tensor([0, 0, 1, 2, 3, 4])).backward()
    assert embeddings.grad is not None
    assert embeddings.grad.isfinite().all()
