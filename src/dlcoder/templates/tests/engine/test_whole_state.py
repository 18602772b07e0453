"""Tests of whole states of what is sharded, here by a single rank."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import distributed, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor

from dlcoder.templates.components.engine.whole_state import WholeState, whole_states


@pytest.fixture(autouse=True)
def group(tmp_path: Path) -> Iterator[None]:
    distributed.init_process_group(
        "gloo", init_method=f"file://{tmp_path}/meeting", rank=0, world_size=1
    )
    yield
    distributed.destroy_process_group()


def make() -> tuple[nn.Module, torch.optim.Optimizer]:
    """A sharded model and its optimizer."""
    model = nn.Linear(3, 2)
    fully_shard(model, mesh=init_device_mesh("cpu", (1,)))
    return model, torch.optim.AdamW(model.parameters(), lr=0.1)


def test_states_are_plain_and_what_takes_them_is_sharded() -> None:
    model, optimizer = make()
    model(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    parts = whole_states({"model": model, "optimizer": optimizer})
    states = {name: part.state_dict() for name, part in parts.items()}
    moments = states["optimizer"]["state"][0]
    assert all(type(value) is torch.Tensor for value in moments.values())
    assert type(states["model"]["weight"]) is torch.Tensor

    other, fresh = make()
    WholeState(other).load_state_dict(states["model"])
    WholeState(fresh).load_state_dict(states["optimizer"])
    weight, _ = other.parameters()
    average = fresh.state[weight]["exp_avg"]
    assert isinstance(average, DTensor)
    assert torch.equal(average.full_tensor(), moments["exp_avg"])
    assert float(fresh.state[weight]["step"]) == 1
    assert torch.equal(other(torch.ones(1, 3)), model(torch.ones(1, 3)))


def test_what_is_not_sharded_stays_as_it_is() -> None:
    model = nn.Linear(3, 2)
    part = WholeState(model)
    assert part.state_dict()["weight"].data_ptr() == model.weight.data_ptr()
    part.load_state_dict({name: value + 1 for name, value in part.state_dict().items()})
