"""Tests of the objective of self-distillation."""

import math

import pytest
import torch
from torch import Tensor, nn

from dlcoder.templates.components.engine.self_distillation import SelfDistillation
from dlcoder.templates.components.engine.teacher import Teacher
from dlcoder.templates.components.models.dino import DINO

GENERATOR = torch.Generator().manual_seed(0)
LARGE = tuple(torch.randn(4, 3, 32, 32, generator=GENERATOR) for _ in range(2))
SMALL = tuple(torch.randn(4, 3, 24, 24, generator=GENERATOR) for _ in range(2))


class Undecided(nn.Module):
    """Likes all of 16 prototypes alike."""

    def __init__(self) -> None:
        super().__init__()
        self.score = nn.Parameter(torch.zeros(()))

    def forward(self, views: list[Tensor]) -> Tensor:
        return self.score.expand(len(views), len(views[0]), 16)


def make() -> tuple[SelfDistillation, DINO]:
    torch.manual_seed(0)
    model = DINO(width=4, prototypes=16, hidden=64)
    teacher = Teacher(model, prototypes=16, total_updates=10)
    return SelfDistillation(teacher), model


def test_who_is_undecided_loses_like_a_guess_and_the_sum_is_over_images() -> None:
    model = Undecided()
    objective = SelfDistillation(Teacher(model, prototypes=16, total_updates=10))
    assert objective.count((*LARGE, *SMALL)) == 4
    loss = objective(model, (*LARGE, *SMALL))["loss_distillation"].item()
    assert loss == pytest.approx(4 * math.log(16))


def test_the_teacher_sees_no_small_crops() -> None:
    objective, model = make()
    seen: list[int] = []
    objective.teacher.module.register_forward_hook(
        lambda _, views, __: seen.append(len(views[0]))
    )
    objective(model, (*LARGE, *SMALL))
    assert seen == [2]
