"""Tests of one update."""

import math
import os
from pathlib import Path

import pytest
import torch
from torch import Tensor, distributed, nn
from torch.amp import GradScaler
from torch.multiprocessing.spawn import spawn

from dlcoder.templates.components.engine.ema import Ema
from dlcoder.templates.components.engine.objective import NonFiniteError
from dlcoder.templates.components.engine.oom_backoff import OomBackoff
from dlcoder.templates.components.engine.schedule import WarmupSchedule
from dlcoder.templates.components.engine.train_step import TrainStep
from dlcoder.templates.components.utils.distributed import World
from dlcoder.templates.components.utils.parallel import parallelize

ALONE = World(rank=0, size=1, device=torch.device("cpu"))
Batch = tuple[Tensor, Tensor]


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


def batch(size: int, seed: int = 0) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(4, (size,), generator=generator)
    return torch.randn(size, 6, generator=generator), labels


def make_model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Linear(6, 4)


def make(
    model: nn.Module, *, max_grad_norm: float = 1e9, world: World = ALONE
) -> TrainStep:
    # Plain SGD: unlike Adam, it shows a gradient of the wrong size.
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    schedule = WarmupSchedule(optimizer, peak=0.5, total_updates=100, warmup_updates=0)
    return TrainStep(
        parallelize(model, world),
        CrossEntropy(),
        optimizer,
        schedule,
        world,
        max_grad_norm=max_grad_norm,
        amp_dtype=None,
        scaler=GradScaler("cpu", init_scale=2.0**10),
        ema=Ema(model, decay=0.9),
        backoff=OomBackoff(model, world) if world.size == 1 else None,
    )


def weights(model: nn.Module) -> Tensor:
    return nn.utils.parameters_to_vector(model.parameters()).detach().clone()


def test_a_window_of_uneven_batches_is_one_batch() -> None:
    images, labels = batch(9)
    alone, split = make_model(), make_model()
    whole = make(alone)([(images, labels)])
    parts = make(split)([(images[:4], labels[:4]), (images[4:], labels[4:])])
    # Autocast, where it is on, rounds differently for other batch sizes.
    torch.testing.assert_close(weights(split), weights(alone), rtol=1e-2, atol=1e-3)
    assert parts["loss_total"] == pytest.approx(whole["loss_total"], rel=1e-2)
    assert parts["metric_accuracy"] == pytest.approx(whole["metric_accuracy"])


def test_a_window_of_nothing_that_counts_teaches_nothing() -> None:
    model = make_model()
    before = weights(model)
    assert make(model)([batch(0)])["loss_total"] == 0
    assert torch.equal(weights(model), before)


# needs: parallel.parallelize
def test_ranks_with_uneven_shares_are_one_batch_and_stop_together(
    tmp_path: Path,
) -> None:
    # Not forked: a process that has computed in several threads cannot be.
    spawn(_rank, args=(str(tmp_path / "meeting"),), nprocs=2)


def _rank(rank: int, meeting: str) -> None:
    images, labels = batch(9)
    alone, shared = make_model(), make_model()
    whole = make(alone)([(images, labels)])
    distributed.init_process_group(
        "gloo", init_method=f"file://{meeting}", rank=rank, world_size=2
    )
    # Samples 0 to 6 on one rank in two micro-batches, 7 and 8 on the other.
    shares = [[slice(0, 4), slice(4, 7)], [slice(7, 8), slice(8, 9)]][rank]
    step = make(shared, world=World(rank, 2, ALONE.device))
    record = step([(images[share], labels[share]) for share in shares])
    assert record["loss_total"] == pytest.approx(whole["loss_total"], rel=1e-2)
    torch.testing.assert_close(weights(shared), weights(alone), rtol=1e-2, atol=1e-3)
    bad = images * (float("nan") if rank == 1 else 1.0)
    with pytest.raises(NonFiniteError, match="loss_total"):
        step([(bad, labels)])
    # Gloo's threads can hang or abort a process that ends in the ordinary way.
    os._exit(0)


def test_the_update_is_that_of_the_mean_loss() -> None:
    model, reference = make_model(), make_model()
    images, labels = batch(8)
    make(model)([(images, labels)])
    nn.functional.cross_entropy(reference(images), labels).backward()
    with torch.no_grad():
        for parameter in reference.parameters():
            assert parameter.grad is not None
            parameter.sub_(0.5 * parameter.grad)
    torch.testing.assert_close(weights(model), weights(reference), rtol=1e-2, atol=5e-3)


def test_clipping_bounds_the_true_gradient() -> None:
    model = make_model()
    before = weights(model)
    record = make(model, max_grad_norm=0.01)([batch(8)])
    assert record["grad_norm"] > 0.1
    assert float((weights(model) - before).norm()) == pytest.approx(
        0.5 * 0.01, rel=1e-3
    )


# needs: TrainStep.backoff
@pytest.mark.filterwarnings("ignore:Out of memory")
def test_a_window_that_does_not_fit_gives_the_update_of_one_that_does() -> None:
    def refuse_large(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if len(inputs[0]) > 3:
            raise torch.OutOfMemoryError

    roomy, short = make_model(), make_model()
    short.register_forward_pre_hook(refuse_large)
    whole, pieces = (make(model)([batch(7), batch(5, 1)]) for model in (roomy, short))
    torch.testing.assert_close(weights(short), weights(roomy), rtol=1e-2, atol=1e-3)
    assert pieces["loss_total"] == pytest.approx(whole["loss_total"], rel=1e-2)


def test_no_gradient_is_left_for_the_next_step() -> None:
    model = make_model()
    make(model)([batch(8)])
    assert all(p.grad is None for p in model.parameters())


def test_a_loss_that_is_not_finite_ends_the_run_before_the_update() -> None:
    model = make_model()
    before = weights(model)
    images, labels = batch(8)
    with pytest.raises(NonFiniteError, match="loss_total"):
        make(model)([(images * float("nan"), labels)])
    assert torch.equal(weights(model), before)


def test_the_schedule_follows_each_update() -> None:
    step = make(make_model())
    step([batch(8)])
    step([batch(8, seed=1)])
    assert step.parts()["schedule"].state_dict() == {"updates": 2}


# needs: TrainStep.ema
def test_the_average_follows_each_update() -> None:
    step = make(make_model())
    step([batch(8)])
    step([batch(8, seed=1)])
    assert step.parts()["ema"].state_dict()["updates"] == 2


# needs: TrainStep.scaler
def test_an_overflow_is_skipped_and_nothing_follows_it() -> None:
    model = make_model()
    before = weights(model)
    step = make(model)
    step.scaler = GradScaler("cpu", init_scale=1e38)
    images, labels = batch(8)
    record = step([(images * 1e3, labels)])
    assert not math.isfinite(record["grad_norm"])
    assert torch.equal(weights(model), before)
    assert step.parts()["schedule"].state_dict() == {"updates": 0}
