"""Tests of the means of an objective."""

import pytest
import torch
from torch import Tensor, nn

from dlcoder.templates.components.engine.objective_means import objective_means
from dlcoder.templates.components.utils.distributed import World

ALONE = World(rank=0, size=1, device=torch.device("cpu"))
Batch = tuple[Tensor, ...]


class Square:
    """The square of the output, and of a random number."""

    def count(self, batch: Batch) -> int:
        return len(batch[0])

    def __call__(self, model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        (features,) = batch
        noise = torch.randn(len(features))
        return {
            "loss_square": model(features).square().sum(),
            "loss_noise": noise.square().sum(),
        }


def test_means_are_over_samples_not_over_batches() -> None:
    batches = [(torch.full((3, 1), 2.0),), (torch.full((1, 1), 4.0),)]
    means = objective_means(nn.Identity(), batches, Square(), world=ALONE)
    assert means["loss_square"] == pytest.approx((3 * 4 + 16) / 4)
    assert means["loss_total"] == pytest.approx(
        means["loss_square"] + means["loss_noise"]
    )


def test_it_repeats_and_leaves_the_random_state_alone() -> None:
    torch.manual_seed(7)
    expected = torch.randn(3)
    torch.manual_seed(7)
    batches = [(torch.ones(4, 1),)]
    first, second = (
        objective_means(nn.Identity(), batches, Square(), world=ALONE) for _ in range(2)
    )
    assert first == second
    torch.testing.assert_close(torch.randn(3), expected)
