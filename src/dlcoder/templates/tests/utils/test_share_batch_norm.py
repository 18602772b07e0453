"""Tests of batch norm over all ranks."""

from pathlib import Path

import pytest
import torch
from torch import distributed, nn

from dlcoder.templates.components.utils.share_batch_norm import share_batch_norm


def make() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))


def test_a_process_alone_keeps_its_batch_norm() -> None:
    model = make()
    assert share_batch_norm(model) is model
    assert type(model.get_submodule("1")) is nn.BatchNorm2d


def test_ranks_with_gpus_share_it_and_names_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    distributed.init_process_group(
        "gloo", init_method=f"file://{tmp_path}/meeting", rank=0, world_size=1
    )
    try:
        model = share_batch_norm(make())
    finally:
        distributed.destroy_process_group()
    assert isinstance(model.get_submodule("1"), nn.SyncBatchNorm)
    assert list(model.state_dict()) == list(make().state_dict())
