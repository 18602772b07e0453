"""Tests of the objective of self-distillation."""

import math

import pytest
import torch

from dlcoder.templates.components.engine.self_distillation import SelfDistillation
from dlcoder.templates.components.engine.teacher import Teacher
from dlcoder.templates.components.models.dino import DINO

GENERATOR = torch.Generator().manual_seed(0)
LARGE = tuple(torch.randn(4, 3, 32, 32, generator=GENERATOR) for _ in range(2))
SMALL = tuple(torch.randn(4, 3, 24, 24, generator=GENERATOR) for _ in range(2))


def make() -> tuple[SelfDistillation, DINO]:
    torch.manual_seed(0)
    model = DINO(width=4, prototypes=16, hidden=16)
    teacher = Teacher(model, prototypes=16, total_updates=10)
    return SelfDistillation(teacher), model


def test_a_fresh_network_guesses_and_the_sum_is_over_images() -> None:
    objective, model = make()
    assert objective.count((*LARGE, *SMALL)) == 4
    loss = objective(model, (*LARGE, *SMALL))["loss_distillation"].item() / 4
    assert loss == pytest.approx(math.log(16), rel=0.25)


def test_the_teacher_sees_no_small_crops() -> None:
    objective, model = make()
    seen: list[int] = []
    objective.teacher.module.register_forward_hook(
        lambda _, views, __: seen.append(len(views[0]))
    )
    objective(model, (*LARGE, *SMALL))
    assert seen == [2]
