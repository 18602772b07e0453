"""Tests of the checkpoints."""

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from dlcoder.templates.components.engine.checkpoint import Checkpointer
from dlcoder.templates.components.engine.run_state import Stateful
from dlcoder.templates.components.utils.distributed import World

ALONE = World(rank=0, size=1, device=torch.device("cpu"))


def make(folder: Path, settings: dict[str, Any], world: World = ALONE) -> Checkpointer:
    model = nn.Linear(2, 2)
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    parts: dict[str, Stateful] = {"model": model, "optimizer": optimizer}
    return Checkpointer(folder, parts=parts, settings=settings, world=world)


def draws() -> list[float]:
    return [random.random(), float(np.random.rand()), float(torch.rand(()))]


def test_everything_comes_back(tmp_path: Path) -> None:
    saved, restored = make(tmp_path, {}), make(tmp_path, {})
    saved.save("last.pt")
    following = draws()
    assert restored.restore("last.pt")
    assert draws() == following
    for name in ("model", "optimizer"):
        torch.testing.assert_close(
            restored.state.parts[name].state_dict(),
            saved.state.parts[name].state_dict(),
        )


def test_it_loads_as_plain_data(tmp_path: Path) -> None:
    make(tmp_path, {"seed": 1}).save("best.pt", "last.pt")
    for name in ("best.pt", "last.pt"):
        state = torch.load(tmp_path / name, weights_only=True)
        assert state["settings"] == {"seed": 1}


def test_where_there_is_none_nothing_is_restored(tmp_path: Path) -> None:
    assert not make(tmp_path, {}).restore("last.pt")


def test_other_settings_are_refused_by_name(tmp_path: Path) -> None:
    make(tmp_path, {"train": {"lr": 0.1}}).save("last.pt")
    with pytest.raises(ValueError, match=r"train\.lr: 0\.1 -> 0\.2"):
        make(tmp_path, {"train": {"lr": 0.2}}).restore("last.pt")


def test_another_number_of_ranks_is_refused(tmp_path: Path) -> None:
    make(tmp_path, {}).save("last.pt")
    two = World(rank=0, size=2, device=ALONE.device)
    with pytest.raises(ValueError, match="1 process"):
        make(tmp_path, {}, two).restore("last.pt")
