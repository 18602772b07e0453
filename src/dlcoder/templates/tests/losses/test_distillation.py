"""Tests of knowledge distillation."""

import torch

from dlcoder.templates.components.losses.distillation import DistillationLoss

GENERATOR = torch.Generator().manual_seed(0)
STUDENT = torch.randn(2, 3, 5, generator=GENERATOR)
TEACHER = torch.randn(2, 3, 5, generator=GENERATOR)


def test_it_is_the_mean_divergence_from_the_teacher_over_positions() -> None:
    p, q = (TEACHER / 2).softmax(dim=2), (STUDENT / 2).softmax(dim=2)
    expected = 2**2 * (p * (p / q).log()).sum(dim=2).mean()
    loss = DistillationLoss(temperature=2.0)(STUDENT, TEACHER)
    torch.testing.assert_close(loss, expected)


def test_equal_logits_cost_nothing_and_the_teacher_learns_nothing() -> None:
    student, teacher = (TEACHER.clone().requires_grad_() for _ in "12")
    loss = DistillationLoss()(student, teacher)
    loss.backward()
    assert abs(loss.item()) < 1e-6
    assert teacher.grad is None


def test_positions_that_are_not_valid_do_not_count() -> None:
    valid = torch.tensor([[True, True, False], [True, False, False]])
    loss = DistillationLoss()
    expected = loss(STUDENT[valid], TEACHER[valid])
    torch.testing.assert_close(loss(STUDENT, TEACHER, valid), expected)
    assert loss(STUDENT, TEACHER, torch.zeros(2, 3, dtype=torch.bool)) == 0
