"""Tests of DINO's loss."""

import math

import pytest
import torch

from dlcoder.templates.components.losses.dino import DINOLoss

GENERATOR = torch.Generator().manual_seed(0)
STUDENT = torch.randn(4, 3, 7, generator=GENERATOR)
TEACHER = torch.randn(2, 3, 7, generator=GENERATOR)


def test_a_uniform_collapse_costs_the_logarithm_of_the_number_of_outputs() -> None:
    loss = DINOLoss(7)(torch.zeros(4, 3, 7), torch.zeros(2, 3, 7))
    assert float(loss) == pytest.approx(math.log(7))


def test_a_view_is_not_compared_with_itself() -> None:
    # The only global view, against itself and one other.
    loss, teacher = DINOLoss(7).eval(), TEACHER[:1]
    first, second = STUDENT[:2], STUDENT[:2].clone()
    second[0] += 5 * torch.arange(7)
    torch.testing.assert_close(loss(first, teacher), loss(second, teacher))


def test_only_the_student_learns() -> None:
    student = STUDENT.clone().requires_grad_()
    teacher = TEACHER.clone().requires_grad_()
    DINOLoss(7)(student, teacher).backward()
    assert student.grad is not None
    assert teacher.grad is None


def test_the_center_starts_at_the_teacher_and_follows_it_in_training_only() -> None:
    loss = DINOLoss(7, center_momentum=0.9)
    loss(STUDENT, TEACHER)
    before = loss.center.clone()
    torch.testing.assert_close(before, TEACHER.mean(dim=(0, 1)))
    loss(STUDENT, TEACHER + 1)
    torch.testing.assert_close(loss.center, before + 0.1)
    before = loss.center.clone()
    loss.eval()(STUDENT, TEACHER)
    assert torch.equal(loss.center, before)
