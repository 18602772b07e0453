"""Tests of averaging gradients, here over a single rank."""

from pathlib import Path

import torch
from torch import distributed, nn

from dlcoder.templates.components.utils.average_gradients import average_gradients


def test_the_mean_over_one_rank_is_its_own_gradient(tmp_path: Path) -> None:
    model = nn.Linear(2, 1)
    model.bias.requires_grad_(False)
    model(torch.ones(1, 2)).sum().backward()
    average_gradients(model)
    distributed.init_process_group(
        "gloo", init_method=f"file://{tmp_path}/meeting", rank=0, world_size=1
    )
    try:
        average_gradients(model)
    finally:
        distributed.destroy_process_group()
    assert model.weight.grad is not None
    assert model.weight.grad.tolist() == [[1.0, 1.0]]
