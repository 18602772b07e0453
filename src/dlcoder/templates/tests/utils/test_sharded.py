"""Tests of gradients of a sharded model, here by a single rank."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import distributed, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

from dlcoder.templates.components.utils.sharded import (
    clip_gradients,
    gradient_sync,
    unwrap,
)


@pytest.fixture(autouse=True)
def group(tmp_path: Path) -> Iterator[None]:
    distributed.init_process_group(
        "gloo", init_method=f"file://{tmp_path}/meeting", rank=0, world_size=1
    )
    yield
    distributed.destroy_process_group()


def make_model(*, sharded: bool) -> nn.Module:
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    if sharded:
        fully_shard(model, mesh=init_device_mesh("cpu", (1,)))
    return model


def norms(model: nn.Module) -> list[float]:
    """The norm of a gradient from two passes, before it is clipped and after."""
    for number in range(2):
        with gradient_sync(model, enabled=number == 1):
            model(torch.ones(1, 3)).square().sum().backward()
    return [float(clip_gradients(model, 0.1)), float(clip_gradients(model, 0.1))]


def test_the_gradient_of_all_passes_is_clipped_by_the_norm_of_all_shares() -> None:
    found = norms(make_model(sharded=True))
    assert found == pytest.approx(norms(make_model(sharded=False)))
    assert found[0] > 0.1 and found[1] == pytest.approx(0.1, rel=1e-4)


def test_shares_get_no_gradient_before_the_last_pass() -> None:
    model = make_model(sharded=True)
    with gradient_sync(model, enabled=False):
        model(torch.ones(1, 3)).sum().backward()
    assert all(share.grad is None for share in unwrap(model).parameters())
    with gradient_sync(model, enabled=True):
        model(torch.ones(1, 3)).sum().backward()
    assert all(share.grad is not None for share in unwrap(model).parameters())
