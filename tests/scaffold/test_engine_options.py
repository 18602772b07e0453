"""Options of the engine: refused where they would change nothing, without a trace where nobody asked for them."""

import importlib

import pytest
from projects import choices
from torch import nn

from dlcoder.errors import UserError
from dlcoder.scaffold.contradictions import BATCH_NORM
from dlcoder.scaffold.plan import plan
from dlcoder.scaffold.render import render
from dlcoder.scaffold.task import Family
from dlcoder.scaffold.tasks.table import TASKS
from dlcoder.templates.components.engine.recompute import repeated_blocks

FAMILIES = {name: family for task in TASKS.values() for name, family in task.families.items()}


class Data:
    """What networks are told of the data."""

    classes = range(5)
    image_size = 64
    num_features = num_targets = vocab_size = length = 8


def build(family: Family) -> nn.Module:
    symbol = getattr(importlib.import_module(f"dlcoder.templates.components.models.{family.module}"), family.symbol)
    settings = type("Settings", (), {setting.name: setting.value for setting in family.of_size("tiny")})
    model = eval(family.call, {family.symbol: symbol, "data": Data, "settings": settings})
    assert isinstance(model, nn.Module)
    return model


@pytest.mark.parametrize("name", FAMILIES)
def test_every_network_has_blocks_to_recompute_and_batch_norm_where_that_is_said(name: str) -> None:
    model = build(FAMILIES[name])
    weights = sum(p.numel() for block in repeated_blocks(model) for p in block.parameters())
    assert weights > 0.2 * sum(p.numel() for p in model.parameters())
    norms = [module for module in model.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    assert bool(norms) == (name in BATCH_NORM)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"model": {"family": "vit"}}, "vit has no batch norm"),
        ({"task": "generation"}, "ddpm_unet has no batch norm"),
        ({"device": "cpu"}, "device is cpu"),
    ],
)
def test_what_would_change_nothing_is_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        choices(**fields, train={"sync_bn": True})


@pytest.mark.parametrize(
    ("option", "trace"), [("gradient_checkpointing", "recompute_blocks"), ("sync_bn", "share_batch_norm")]
)
@pytest.mark.parametrize("framework", ["pytorch", "lightning", "accelerate"])
def test_an_option_is_in_the_model_of_every_framework_or_nowhere(option: str, trace: str, framework: str) -> None:
    chosen = render(plan(choices(framework=framework, train={option: True})))
    assert trace in chosen["waves/build.py"] and trace in chosen["README.md"]
    assert trace not in "".join(render(plan(choices(framework=framework))).values())
