"""Options of the engine: refused where they would change nothing, without a trace where nobody asked for them."""

import importlib
import re
from typing import Any

import pytest
import torch
from projects import choices
from torch import nn
from torch.optim import SGD

from dlcoder.errors import UserError
from dlcoder.scaffold.contradictions import BATCH_NORM
from dlcoder.scaffold.frameworks import FRAMEWORKS
from dlcoder.scaffold.plan import plan
from dlcoder.scaffold.render import render
from dlcoder.scaffold.schedules import SCHEDULES
from dlcoder.scaffold.task import Family
from dlcoder.scaffold.tasks.table import TASKS
from dlcoder.templates.components.engine.schedule import WarmupSchedule
from dlcoder.templates.components.utils.repeated_blocks import repeated_blocks

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
    ("option", "trace"),
    [("gradient_checkpointing", "recompute_blocks"), ("sync_bn", "share_batch_norm"), ("compile", "compile_in_place")],
)
@pytest.mark.parametrize("framework", ["pytorch", "lightning", "accelerate"])
def test_an_option_is_in_the_model_of_every_framework_or_nowhere(option: str, trace: str, framework: str) -> None:
    chosen = render(plan(choices(framework=framework, train={option: True})))
    assert trace in chosen["waves/build.py"] + chosen["train.py"] and trace in chosen["README.md"]
    assert trace not in "".join(render(plan(choices(framework=framework))).values())


@pytest.mark.parametrize("form", SCHEDULES)
def test_a_project_has_the_schedule_that_was_chosen_and_nothing_of_others(form: str) -> None:
    files = {name: render(plan(choices(framework=name, train={"schedule": form}))) for name in FRAMEWORKS}
    names = {setting.name for schedule in SCHEDULES.values() for setting in schedule.settings}
    own = {setting.name for setting in SCHEDULES[form].settings}
    for project in files.values():
        assert {n for n in names if f"{n}=settings.{n}" in project["train.py"]} == own
        assert {n for n in names if f"{n}:" in project["configs/default.yaml"]} == own
        assert not re.search(rf"\.form|{'|'.join(names - own)}", project["waves/engine/schedule.py"])
    module: dict[str, Any] = {}
    exec(files["pytorch"]["waves/engine/schedule.py"], module)
    arguments = {"optimizer": SGD([nn.Parameter(torch.zeros(1))]), "peak": 0.1, "total_updates": 50}
    rendered = module["WarmupSchedule"](**arguments, warmup_updates=9)
    whole = WarmupSchedule(**arguments, warmup_updates=9, form=form)
    assert [rendered.lr_at(n) for n in range(60)] == [whole.lr_at(n) for n in range(60)]
    assert len(re.findall("def test_", files["pytorch"]["tests/test_schedule.py"])) == 4
