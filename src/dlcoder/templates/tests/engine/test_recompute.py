"""Tests of activation recomputation."""

import copy

import pytest
import torch
from torch import Tensor, nn

from dlcoder.templates.components.engine.recompute import recompute_blocks


class Block(nn.Module):
    """A residual block with everything that a second run could get wrong."""

    def __init__(self) -> None:
        super().__init__()
        self.parts = nn.Sequential(
            nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.5)
        )
        self.runs = 0

    def forward(self, features: Tensor) -> Tensor:
        self.runs += 1
        change: Tensor = self.parts(features)
        return features + change


def make() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Sequential(Block(), Block()), nn.Sequential(Block()))


def train(model: nn.Module) -> list[Tensor]:
    """Return gradients and buffers after one step."""
    torch.manual_seed(1)
    model(torch.randn(2, 4, 8, 8)).square().sum().backward()
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    return [*gradients, *model.buffers()]


def test_gradients_and_statistics_are_those_of_the_plain_model() -> None:
    plain, recomputed = make(), recompute_blocks(make())
    for expected, found in zip(train(plain), train(recomputed), strict=True):
        assert torch.equal(found, expected)
    assert [block.runs for block in blocks(plain)] == [1, 1, 1]
    assert [block.runs for block in blocks(recomputed)] == [2, 2, 2]


def blocks(model: nn.Module) -> list[Block]:
    return [module for module in model.modules() if isinstance(module, Block)]


def test_a_model_without_blocks_is_refused() -> None:
    with pytest.raises(ValueError, match="no blocks"):
        recompute_blocks(nn.Sequential(nn.Linear(1, 1), nn.ReLU()))


def test_evaluation_runs_each_block_once() -> None:
    model = recompute_blocks(make()).eval()
    with torch.inference_mode():
        model(torch.randn(2, 4, 8, 8))
    assert [block.runs for block in blocks(model)] == [1, 1, 1]


def test_a_copy_is_a_model_of_its_own_with_the_same_names() -> None:
    model = recompute_blocks(make())
    other = copy.deepcopy(model)
    assert list(other.state_dict()) == list(make().state_dict())
    with torch.no_grad():
        for weight in model.parameters():
            weight.zero_()
    assert all(p.grad is None for p in model.parameters())
    train(other)
    assert all(p.grad is None for p in model.parameters())
    assert all(block.runs == 0 for block in blocks(model))
