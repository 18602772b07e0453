"""Tests of the network for tables."""

import torch
import torch.nn.functional as F

from dlcoder.templates.components.models.mlp import MLP

FEATURES = torch.randn(32, 5, generator=torch.Generator().manual_seed(0))


def test_it_predicts_the_mean_at_the_start() -> None:
    outputs = MLP(5, 2)(FEATURES)
    assert outputs.shape == (32, 2)
    assert not outputs.any()


def test_it_learns_a_product_that_no_linear_model_can() -> None:
    torch.manual_seed(0)
    model = MLP(5, 1, width=32, depth=2)
    target = (FEATURES[:, 0] * FEATURES[:, 1]).unsqueeze(1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(60):
        optimizer.zero_grad()
        loss = F.mse_loss(model(FEATURES), target)
        loss.backward()
        optimizer.step()
    assert loss < 0.05 * target.var()
    assert all(p.grad is not None and p.grad.any() for p in model.parameters())


def test_a_last_batch_of_one_row_trains() -> None:
    MLP(5, 2)(FEATURES[:1]).sum().backward()


def test_rows_do_not_see_each_other() -> None:
    model = MLP(5, 2)
    torch.nn.init.normal_(model.output.weight)
    torch.testing.assert_close(model(FEATURES)[:1], model(FEATURES[:1]))
