"""Tests of the teacher."""

import pytest
import torch
from torch import Tensor, nn

from dlcoder.templates.components.engine.teacher import Teacher

GENERATOR = torch.Generator().manual_seed(0)
VIEWS = [torch.randn(8, 4, generator=GENERATOR) for _ in range(2)]


class Network(nn.Module):
    """Logits (V, B, 5) of views V x (B, 4)."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(4)
        self.layer = nn.Linear(4, 5)

    def forward(self, views: list[Tensor]) -> Tensor:
        return torch.stack([self.layer(self.norm(view)) for view in views])


def make(model: nn.Module, momentum: float = 0.9) -> Teacher:
    torch.manual_seed(0)
    return Teacher(model, prototypes=5, total_updates=200, momentum=momentum)


def test_it_follows_more_slowly_from_update_to_update() -> None:
    model = Network()
    teacher = make(model)
    before = teacher.module.get_parameter("layer.weight").clone()
    nn.init.normal_(model.layer.weight)
    teacher.update(model)
    after = teacher.module.get_parameter("layer.weight")
    torch.testing.assert_close(after, 0.9 * before + 0.1 * model.layer.weight)
    momenta = []
    for _ in range(200):
        momenta.append(teacher.momentum)
        teacher.update(model)
    assert momenta == sorted(momenta)
    assert teacher.momentum == 1.0


def test_its_temperature_rises_and_stays() -> None:
    model = Network()
    teacher = make(model)
    temperatures = []
    for _ in range(81):
        temperatures.append(teacher.temperature)
        teacher.update(model)
    expected = [0.04, 0.05, 0.06, 0.07, 0.07]
    assert temperatures[::20] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("total_updates", "momentum"), [(100_000, 0.996), (200, 0.9), (10, 0.0)]
)
def test_it_lags_a_twentieth_of_the_run_at_most(
    total_updates: int, momentum: float
) -> None:
    teacher = Teacher(Network(), prototypes=5, total_updates=total_updates)
    assert teacher.momentum == pytest.approx(momentum)


def test_only_the_student_learns_and_batch_norm_sees_the_batch() -> None:
    model = Network()
    teacher = make(model)
    teacher.compare(model(VIEWS), VIEWS).backward()
    assert model.layer.weight.grad is not None
    assert all(p.grad is None for p in teacher.module.parameters())
    # Of data of mean 5, running statistics know nothing yet; the outputs are the same.
    shifted = [view + 5 for view in VIEWS]
    torch.testing.assert_close(teacher.module(shifted), teacher.module(VIEWS))


def test_it_goes_on_from_its_state_center_included() -> None:
    model = Network()
    teacher, resumed = make(model), make(Network())
    teacher.compare(model(VIEWS), VIEWS)
    teacher.update(model)
    resumed.load_state_dict(teacher.state_dict())
    assert resumed.momentum == teacher.momentum
    assert teacher.loss.center.any()
    student = model(VIEWS)
    for _ in range(2):
        first, second = (t.compare(student, VIEWS) for t in (teacher, resumed))
        assert torch.equal(first, second)
