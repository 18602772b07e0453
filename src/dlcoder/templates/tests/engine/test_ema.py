"""Tests of the moving average."""

import torch
from torch import nn

from dlcoder.templates.components.engine.ema import Ema


def test_it_follows_the_formula_with_its_warm_up() -> None:
    model = nn.Linear(2, 1)
    ema = Ema(model, decay=0.5)
    expected = model.weight.detach().clone()
    for update in range(1, 12):
        nn.init.normal_(model.weight)
        ema.update(model)
        decay = min(0.5, (1 + update) / (10 + update))
        expected = decay * expected + (1 - decay) * model.weight.detach()
        torch.testing.assert_close(ema.module.get_parameter("weight"), expected)


def test_buffers_follow_and_counters_are_copied() -> None:
    model = nn.BatchNorm1d(2)
    ema = Ema(model, decay=0.9)
    for _ in range(3):
        model(torch.randn(8, 2) + 5)
        ema.update(model)
    assert (ema.module.get_buffer("running_mean") > 0.5).all()
    assert int(ema.module.get_buffer("num_batches_tracked")) == 3


def test_a_weight_that_two_layers_share_moves_once() -> None:
    first, second = nn.Linear(2, 2), nn.Linear(2, 2)
    second.weight = first.weight
    model = nn.Sequential(first, second)
    ema = Ema(model, decay=0.5)
    before = ema.module.get_parameter("0.weight").clone()
    with torch.no_grad():
        first.weight += 1
    ema.update(model)
    # The first decay of the warm-up is 2 / 11.
    moved = ema.module.get_parameter("0.weight") - before
    torch.testing.assert_close(moved, torch.full((2, 2), 9 / 11))


def test_the_model_itself_is_not_touched() -> None:
    model = nn.Linear(2, 1)
    ema = Ema(model, decay=0.9)
    before = model.weight.detach().clone()
    ema.update(model)
    assert torch.equal(model.weight, before)
    assert not any(p.requires_grad for p in ema.module.parameters())


def test_it_goes_on_from_its_state() -> None:
    model = nn.Linear(2, 1)
    ema, resumed = Ema(model, decay=0.9), Ema(nn.Linear(2, 1), decay=0.9)
    ema.update(model)
    resumed.load_state_dict(ema.state_dict())
    nn.init.normal_(model.weight)
    ema.update(model)
    resumed.update(model)
    assert torch.equal(
        ema.module.get_parameter("weight"), resumed.module.get_parameter("weight")
    )
