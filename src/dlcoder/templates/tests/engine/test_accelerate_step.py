"""Tests of one update by Accelerate."""

import math
from collections.abc import Iterator

import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from torch import Tensor, nn

from dlcoder.templates.components.engine.accelerate_step import AccelerateStep, world_of
from dlcoder.templates.components.engine.ema import Ema
from dlcoder.templates.components.engine.objective import NonFiniteError
from dlcoder.templates.components.engine.schedule import WarmupSchedule


@pytest.fixture(autouse=True)
def state_of_its_own() -> Iterator[None]:
    """Accelerate refuses a second precision in a process: other tests have theirs."""
    yield
    AcceleratorState._reset_state()


class CrossEntropy:
    """A plain objective."""

    def count(self, batch: tuple[Tensor, ...]) -> int:
        return len(batch[0])

    def __call__(
        self, model: nn.Module, batch: tuple[Tensor, ...]
    ) -> dict[str, Tensor]:
        images, labels = batch
        logits = model(images)
        return {
            "loss_cross_entropy": nn.functional.cross_entropy(
                logits, labels, reduction="sum"
            ),
            "metric_accuracy": (logits.argmax(dim=1) == labels).sum(),
        }


def batch(size: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(4, (size,), generator=generator)
    return torch.randn(size, 6, generator=generator), labels


def make(*, max_grad_norm: float = 1e9) -> AccelerateStep:
    torch.manual_seed(0)
    model = nn.Linear(6, 4)
    # Plain SGD: unlike Adam, it shows a gradient of the wrong size.
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    return AccelerateStep(
        model,
        CrossEntropy(),
        optimizer,
        WarmupSchedule(optimizer, peak=0.5, total_updates=100, warmup_updates=0),
        Accelerator(cpu=True),
        max_grad_norm=max_grad_norm,
        ema=Ema(model, decay=0.9),
    )


def weights(step: AccelerateStep) -> Tensor:
    return nn.utils.parameters_to_vector(step.model.parameters()).detach().clone()


def test_a_window_of_uneven_batches_is_one_batch() -> None:
    images, labels = batch(9)
    alone, split = make(), make()
    whole = alone([(images, labels)])
    parts = split([(images[:4], labels[:4]), (images[4:], labels[4:])])
    # Autocast, where it is on, rounds differently for other batch sizes.
    torch.testing.assert_close(weights(split), weights(alone), rtol=1e-2, atol=1e-3)
    assert parts == pytest.approx(whole, rel=1e-2)


def test_the_gradient_is_clipped_and_its_norm_reported_before() -> None:
    step = make(max_grad_norm=0.1)
    before = weights(step)
    record = step([batch(9)])
    assert record["grad_norm"] > 0.1
    moved = float((weights(step) - before).norm())
    assert moved == pytest.approx(0.5 * 0.1, rel=1e-2)
    assert step.schedule.updates == 1


def test_a_loss_that_is_not_finite_changes_nothing() -> None:
    step = make()
    before = weights(step)
    images, labels = batch(9)
    with pytest.raises(NonFiniteError, match="loss_total"):
        step([(images * math.nan, labels)])
    assert torch.equal(weights(step), before)


def test_a_process_that_was_started_alone_is_alone() -> None:
    world = world_of(Accelerator(cpu=True))
    assert (world.rank, world.size, world.device.type) == (0, 1, "cpu")
