"""Tests of the projection head."""

import torch

from dlcoder.templates.components.models.projection_head import ProjectionHead

FEATURES = torch.randn(16, 8, generator=torch.Generator().manual_seed(0))


def test_projections_of_a_batch_are_standardized() -> None:
    projections = ProjectionHead(8, 4)(FEATURES)
    assert projections.shape == (16, 4)
    torch.testing.assert_close(
        projections.mean(dim=0), torch.zeros(4), atol=1e-5, rtol=0
    )


def test_every_parameter_learns() -> None:
    model = ProjectionHead(8, 4, hidden=16)
    (model(FEATURES) * FEATURES[:, :4]).sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in model.parameters())
