"""Tests of the region consensus loss."""

import torch

from dlcoder.templates.components.losses.region_consensus import RegionConsensusLoss

REGIONS = torch.tensor([[[0, 0, 1], [1, 1, 255]]])


def test_pixels_that_agree_with_their_region_cost_nothing() -> None:
    logits = torch.tensor([[2.0, -1.0]])[:, :, None, None].expand(1, 2, 2, 3)
    assert RegionConsensusLoss(2)(logits, REGIONS) < 1e-6


def test_it_is_the_mean_divergence_from_the_regions_mean() -> None:
    p = torch.tensor([[0.9, 0.5, 0.2], [0.2, 0.2, 0.7]])
    logits = torch.stack([p.log(), (1 - p).log()]).unsqueeze(0)
    mean = torch.tensor([0.7, 0.3])
    first, second = torch.tensor([0.9, 0.1]), torch.tensor([0.5, 0.5])
    divergence = (mean * (mean / first).log()).sum() + (
        mean * (mean / second).log()
    ).sum()
    # The second region agrees, and five pixels are valid.
    torch.testing.assert_close(RegionConsensusLoss(2)(logits, REGIONS), divergence / 5)


def test_descending_makes_pixels_agree() -> None:
    logits = torch.randn(1, 2, 2, 3, generator=torch.Generator().manual_seed(0))
    logits.requires_grad_()
    loss, optimizer = RegionConsensusLoss(2), torch.optim.SGD([logits], lr=5)
    start = loss(logits, REGIONS)
    for _ in range(20):
        optimizer.zero_grad()
        loss(logits, REGIONS).backward()
        optimizer.step()
    assert loss(logits, REGIONS) < 0.1 * start


def test_a_million_pixels_that_agree_cost_nothing() -> None:
    logits = torch.randn(1, 3, 1, 1, generator=torch.Generator().manual_seed(0))
    regions = torch.zeros(1, 1000, 1000, dtype=torch.int64)
    loss = RegionConsensusLoss(1)(logits.expand(-1, -1, 1000, 1000), regions)
    assert 0 <= loss < 1e-4
