"""Tests of the parameter groups."""

from torch import nn

from dlcoder.templates.components.engine.param_groups import param_groups


def test_weights_decay_and_biases_and_norms_do_not() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 2))
    decaying, others = param_groups(model, weight_decay=0.1)
    assert {id(p) for p in decaying["params"]} == {
        id(model[0].weight),
        id(model[2].weight),
    }
    assert (decaying["weight_decay"], others["weight_decay"]) == (0.1, 0.0)


def test_every_trainable_parameter_is_in_one_group() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4), nn.Linear(4, 2))
    model[0].requires_grad_(False)
    groups = param_groups(model, weight_decay=0.1)
    grouped = [id(p) for group in groups for p in group["params"]]
    assert sorted(grouped) == sorted(
        id(p) for p in model.parameters() if p.requires_grad
    )
