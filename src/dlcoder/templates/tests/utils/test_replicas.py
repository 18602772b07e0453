"""Tests of data parallelism without a wrapper, here by a single rank."""

import torch
from torch import nn

from dlcoder.templates.components.utils.distributed import World
from dlcoder.templates.components.utils.replicas import (
    clip_gradients,
    gradient_sync,
    parallelize,
    unwrap,
)


def test_a_model_is_wrapped_in_nothing() -> None:
    model = nn.Linear(4, 1, bias=False)
    alone = World(rank=0, size=1, device=torch.device("cpu"))
    assert parallelize(model, alone) is unwrap(model) is model
    for enabled in (False, True):
        with gradient_sync(model, enabled=enabled):
            model(torch.ones(1, 4)).sum().backward()
    assert float(clip_gradients(model, 1.0)) == 4.0
    assert model.weight.grad is not None
    torch.testing.assert_close(model.weight.grad, torch.full((1, 4), 0.5))
