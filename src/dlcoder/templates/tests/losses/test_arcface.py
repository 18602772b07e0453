"""Tests of ArcFace."""

import math

import torch
import torch.nn.functional as F

from dlcoder.templates.components.losses.arcface import ArcFaceLoss

EMBEDDINGS = torch.randn(6, 5, generator=torch.Generator().manual_seed(0))
TARGET = torch.tensor([0, 3, 1, 1, 2, 0])


def test_without_a_margin_it_is_cross_entropy_over_scaled_cosines() -> None:
    loss = ArcFaceLoss(5, 4, scale=8.0, margin=0.0)
    cosine = F.normalize(EMBEDDINGS) @ F.normalize(loss.weight).T
    expected = F.cross_entropy(8 * cosine, TARGET)
    torch.testing.assert_close(loss(EMBEDDINGS, TARGET), expected)


def test_the_margin_is_added_to_the_angle() -> None:
    loss = ArcFaceLoss(2, 2, scale=1.0, margin=0.5)
    loss.weight.data = torch.eye(2)
    angle = 0.7
    embedding = torch.tensor([[math.cos(angle), math.sin(angle)]])
    logits = torch.tensor([[math.cos(angle + 0.5), math.sin(angle)]])
    expected = F.cross_entropy(logits, torch.tensor([0]))
    torch.testing.assert_close(loss(embedding, torch.tensor([0])), expected)


def test_the_length_of_embeddings_does_not_matter() -> None:
    loss = ArcFaceLoss(5, 4)
    torch.testing.assert_close(loss(3 * EMBEDDINGS, TARGET), loss(EMBEDDINGS, TARGET))


def test_an_embedding_on_its_class_has_a_finite_gradient() -> None:
    loss = ArcFaceLoss(5, 4)
    embeddings = loss.weight.detach()[TARGET].requires_grad_()
    loss(embeddings, TARGET).backward()
    assert embeddings.grad is not None
    assert embeddings.grad.isfinite().all()
